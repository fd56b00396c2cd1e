// "pool"; model "pool", e4ee541c2a65a9711df5328221f5273e3cb675ddc72356544741e725c3621db9
transformed data {
  array[33] int place = {0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8};
  array[65] real time = {0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875, 2.0, 2.125, 2.25, 2.375, 2.5, 2.625, 2.75, 2.875, 3.0, 3.125, 3.25, 3.375, 3.5, 3.625, 3.75, 3.875, 4.0, 4.125, 4.25, 4.375, 4.5, 4.625, 4.75, 4.875, 5.0, 5.125, 5.25, 5.375, 5.5, 5.625, 5.75, 5.875, 6.0, 6.125, 6.25, 6.375, 6.5, 6.625, 6.75, 6.875, 7.0, 7.125, 7.25, 7.375, 7.5, 7.625, 7.75, 7.875, 8.0};
  array[33] real instant = {0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5, 3.75, 4.0, 4.25, 4.5, 4.75, 5.0, 5.25, 5.5, 5.75, 6.0, 6.25, 6.5, 6.75, 7.0, 7.25, 7.5, 7.75, 8.0};
}
parameters {
  real<lower=50.0, upper=200.0> p1;  // "Start"
  real p2;  // "Gain"
  real<lower=0.0, upper=1.0> p3;  // "Share"
  real<lower=0.0, upper=1.0> p4;  // "Rate"
  real<lower=0.0> p5;  // "Spread"
}
transformed parameters {
  vector[32] q;
  {
    matrix[4, 8] y;
    real n6 = p1;
    real n7 = p2;  // "Gain"
    real n8 = p3;  // "Share"
    real n9 = n7 * n8;
    real n14 = 0.0;
    real n18 = p4;  // "Rate"
    real x0 = n6;  // "Pool"
    for (step in 1:33) {
      real n0 = x0;  // "Pool"
      real n10 = time[2 * step - 1 + 0];
      real n11 = -n10;
      real n13 = n11 / 5.0;
      real n16 = exp(n13);
      real n17 = n9 * n16;  // "coming"
      real n19 = n18 * n0;  // "going"
      real n20 = n17 - n19;
      if (place[step] > 0) {
        real n2 = n0 / 2.0;  // "Half"
        real n4 = n0 / 3.0;  // "Third"
        real n5 = 2.0 * n0;  // "Twice"
        y[1, place[step]] = n2;
        y[2, place[step]] = n0;
        y[3, place[step]] = n4;
        y[4, place[step]] = n5;
      }
      if (step == 33) break;
      real x0_1 = x0 + n20 * 0.25;
      real n0_1 = x0_1;
      real n10_1 = time[2 * step - 1 + 2];
      real n11_1 = -n10_1;
      real n13_1 = n11_1 / 5.0;
      real n16_1 = exp(n13_1);
      real n17_1 = n9 * n16_1;
      real n19_1 = n18 * n0_1;
      real n20_1 = n17_1 - n19_1;
      real moved0 = x0 + (n20 + n20_1) * 0.125;
      x0 = moved0;
    }
    q[1] = 1.0 * y[2, 1];
    q[2] = 1.0 * y[2, 2];
    q[3] = 1.0 * y[2, 3];
    q[4] = 1.0 * y[2, 4];
    q[5] = 1.0 * y[2, 5];
    q[6] = 1.0 * y[2, 6];
    q[7] = 1.0 * y[2, 7];
    q[8] = 1.0 * y[2, 8];
    q[9] = 1.0 * y[4, 1];
    q[10] = 1.0 * y[4, 2];
    q[11] = 1.0 * y[4, 3];
    q[12] = 1.0 * y[4, 4];
    q[13] = 1.0 * y[4, 5];
    q[14] = 1.0 * y[4, 6];
    q[15] = 1.0 * y[4, 7];
    q[16] = 1.0 * y[4, 8];
    q[17] = 1.0 * y[1, 1];
    q[18] = 1.0 * y[1, 2];
    q[19] = 1.0 * y[1, 3];
    q[20] = 1.0 * y[1, 4];
    q[21] = 1.0 * y[1, 5];
    q[22] = 1.0 * y[1, 6];
    q[23] = 1.0 * y[1, 7];
    q[24] = 1.0 * y[1, 8];
    q[25] = 1.0 * y[3, 1];
    q[26] = 1.0 * y[3, 2];
    q[27] = 1.0 * y[3, 3];
    q[28] = 1.0 * y[3, 4];
    q[29] = 1.0 * y[3, 5];
    q[30] = 1.0 * y[3, 6];
    q[31] = 1.0 * y[3, 7];
    q[32] = 1.0 * y[3, 8];
  }
}
model {
  target += -log(p1) - log(log(200.0 / 50.0)) - (-1.1102230246251565e-16);
  target += student_t_lpdf(p2 | 4.0, 20.0, 4.0);
  target += normal_lpdf(logit(p3) | logit(0.4), 1.0) - log(p3) - log1m(p3);
  target += beta_lpdf(p4 | 2.0, 5.0);
  target += cauchy_lpdf(p5 | 0, 0.3) + log2();
  target += lognormal_lpdf(70.0 | log(q[1]), p5);  // "Pool 1"
  target += lognormal_lpdf(58.0 | log(q[2]), p5);  // "Pool 2"
  target += lognormal_lpdf(49.0 | log(q[3]), p5);  // "Pool 3"
  target += lognormal_lpdf(41.0 | log(q[4]), p5);  // "Pool 4"
  target += lognormal_lpdf(37.0 | log(q[5]), p5);  // "Pool 5"
  target += lognormal_lpdf(29.0 | log(q[6]), p5);  // "Pool 6"
  target += lognormal_lpdf(26.0 | log(q[7]), p5);  // "Pool 7"
  target += lognormal_lpdf(20.0 | log(q[8]), p5);  // "Pool 8"
  target += student_t_lpdf(70.0 | 4.0, q[9], p5);  // "Twice 1"
  target += student_t_lpdf(58.0 | 4.0, q[10], p5);  // "Twice 2"
  target += student_t_lpdf(49.0 | 4.0, q[11], p5);  // "Twice 3"
  target += student_t_lpdf(41.0 | 4.0, q[12], p5);  // "Twice 4"
  target += student_t_lpdf(37.0 | 4.0, q[13], p5);  // "Twice 5"
  target += student_t_lpdf(29.0 | 4.0, q[14], p5);  // "Twice 6"
  target += student_t_lpdf(26.0 | 4.0, q[15], p5);  // "Twice 7"
  target += student_t_lpdf(20.0 | 4.0, q[16], p5);  // "Twice 8"
  target += poisson_lpmf(70 | q[17]);  // "Half 1"
  target += poisson_lpmf(58 | q[18]);  // "Half 2"
  target += poisson_lpmf(49 | q[19]);  // "Half 3"
  target += poisson_lpmf(41 | q[20]);  // "Half 4"
  target += poisson_lpmf(37 | q[21]);  // "Half 5"
  target += poisson_lpmf(29 | q[22]);  // "Half 6"
  target += poisson_lpmf(26 | q[23]);  // "Half 7"
  target += poisson_lpmf(20 | q[24]);  // "Half 8"
  target += neg_binomial_2_lpmf(70 | q[25], 8.0);  // "Third 1"
  target += neg_binomial_2_lpmf(58 | q[26], 8.0);  // "Third 2"
  target += neg_binomial_2_lpmf(49 | q[27], 8.0);  // "Third 3"
  target += neg_binomial_2_lpmf(41 | q[28], 8.0);  // "Third 4"
  target += neg_binomial_2_lpmf(37 | q[29], 8.0);  // "Third 5"
  target += neg_binomial_2_lpmf(29 | q[30], 8.0);  // "Third 6"
  target += neg_binomial_2_lpmf(26 | q[31], 8.0);  // "Third 7"
  target += neg_binomial_2_lpmf(20 | q[32], 8.0);  // "Third 8"
}
