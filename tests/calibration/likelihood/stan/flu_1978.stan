// "Influenza in a boarding school, January 1978: SIR with negative binomial counts"; model "model", 4db1b92ac9370d310adc2eb97ea2afebb6fb8166f8f38b0150b5b0957d2e7aba
transformed data {
  array[225] int place = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14};
}
parameters {
  real<lower=0.0, upper=10.0> p1;  // "Beta"
  real<lower=0.0, upper=5.0> p2;  // "Gamma"
  real<lower=0.0001, upper=5.0> p3;  // "inverse phi"
}
transformed parameters {
  vector[14] q;
  {
    matrix[1, 14] y;
    real n1 = 1.0;
    real n2 = p1;  // "Beta"
    real n4 = 763.0;  // "Boys"
    real n8 = p2;  // "Gamma"
    real n11 = n4 - n1;
    real x0 = n1;  // "Infected"
    real x1 = n11;  // "Susceptible"
    for (step in 1:225) {
      real n0 = x0;  // "Infected"
      real n3 = x1;  // "Susceptible"
      real n5 = n2 * n3;
      real n6 = n5 * n0;
      real n7 = n6 / n4;  // "infecting"
      real n9 = n8 * n0;  // "recovering"
      real n10 = n7 - n9;
      real n12 = -n7;
      if (place[step] > 0) {
        y[1, place[step]] = n0;
      }
      if (step == 225) break;
      real x0_1 = x0 + n10 * 0.03125;
      real x1_1 = x1 + n12 * 0.03125;
      real n0_1 = x0_1;
      real n3_1 = x1_1;
      real n5_1 = n2 * n3_1;
      real n6_1 = n5_1 * n0_1;
      real n7_1 = n6_1 / n4;
      real n9_1 = n8 * n0_1;
      real n10_1 = n7_1 - n9_1;
      real n12_1 = -n7_1;
      real x0_2 = x0 + n10_1 * 0.03125;
      real x1_2 = x1 + n12_1 * 0.03125;
      real n0_2 = x0_2;
      real n3_2 = x1_2;
      real n5_2 = n2 * n3_2;
      real n6_2 = n5_2 * n0_2;
      real n7_2 = n6_2 / n4;
      real n9_2 = n8 * n0_2;
      real n10_2 = n7_2 - n9_2;
      real n12_2 = -n7_2;
      real x0_3 = x0 + n10_2 * 0.0625;
      real x1_3 = x1 + n12_2 * 0.0625;
      real n0_3 = x0_3;
      real n3_3 = x1_3;
      real n5_3 = n2 * n3_3;
      real n6_3 = n5_3 * n0_3;
      real n7_3 = n6_3 / n4;
      real n9_3 = n8 * n0_3;
      real n10_3 = n7_3 - n9_3;
      real n12_3 = -n7_3;
      real moved0 = x0 + (n10 + n10_1 * 2 + n10_2 * 2 + n10_3) * 0.010416666666666666;
      real moved1 = x1 + (n12 + n12_1 * 2 + n12_2 * 2 + n12_3) * 0.010416666666666666;
      x0 = moved0;
      x1 = moved1;
    }
    q[1] = 1.0 * y[1, 1];
    q[2] = 1.0 * y[1, 2];
    q[3] = 1.0 * y[1, 3];
    q[4] = 1.0 * y[1, 4];
    q[5] = 1.0 * y[1, 5];
    q[6] = 1.0 * y[1, 6];
    q[7] = 1.0 * y[1, 7];
    q[8] = 1.0 * y[1, 8];
    q[9] = 1.0 * y[1, 9];
    q[10] = 1.0 * y[1, 10];
    q[11] = 1.0 * y[1, 11];
    q[12] = 1.0 * y[1, 12];
    q[13] = 1.0 * y[1, 13];
    q[14] = 1.0 * y[1, 14];
  }
}
model {
  target += normal_lpdf(p1 | 2.0, 1.0) - (-0.02301290932896417);
  target += normal_lpdf(p2 | 0.4, 0.5) - (-0.238073701623328);
  target += exponential_lpdf(p3 | 1 / 0.2) - (-0.0005000000138948161);
  target += neg_binomial_2_lpmf(3 | q[1], 1 / p3);  // "in bed 1978-01-22"
  target += neg_binomial_2_lpmf(8 | q[2], 1 / p3);  // "in bed 1978-01-23"
  target += neg_binomial_2_lpmf(26 | q[3], 1 / p3);  // "in bed 1978-01-24"
  target += neg_binomial_2_lpmf(76 | q[4], 1 / p3);  // "in bed 1978-01-25"
  target += neg_binomial_2_lpmf(225 | q[5], 1 / p3);  // "in bed 1978-01-26"
  target += neg_binomial_2_lpmf(298 | q[6], 1 / p3);  // "in bed 1978-01-27"
  target += neg_binomial_2_lpmf(258 | q[7], 1 / p3);  // "in bed 1978-01-28"
  target += neg_binomial_2_lpmf(233 | q[8], 1 / p3);  // "in bed 1978-01-29"
  target += neg_binomial_2_lpmf(189 | q[9], 1 / p3);  // "in bed 1978-01-30"
  target += neg_binomial_2_lpmf(128 | q[10], 1 / p3);  // "in bed 1978-01-31"
  target += neg_binomial_2_lpmf(68 | q[11], 1 / p3);  // "in bed 1978-02-01"
  target += neg_binomial_2_lpmf(29 | q[12], 1 / p3);  // "in bed 1978-02-02"
  target += neg_binomial_2_lpmf(14 | q[13], 1 / p3);  // "in bed 1978-02-03"
  target += neg_binomial_2_lpmf(4 | q[14], 1 / p3);  // "in bed 1978-02-04"
}
