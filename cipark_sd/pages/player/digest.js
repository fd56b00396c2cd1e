/* SHA-256 (FIPS 180-4): a page opened from disk has no crypto.subtle in every browser. */

const PRIMES = (() => {
  const found = [];
  for (let n = 2; found.length < 64; n++) if (found.every((p) => n % p)) found.push(n);
  return found;
})();
const fraction = (x) => Math.floor((x - Math.floor(x)) * 2 ** 32);
const SHA_START = PRIMES.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
/* Cube roots to the last bit of 32: Math.cbrt may be off in its last place, which lies 20 bits below. */
const SHA_ROUNDS = Uint32Array.from(PRIMES, (p) => fraction(Math.cbrt(p)));

/** The digest of bytes, as hexadecimal digits. */
function sha256(bytes) {
  const length = bytes.length, blocks = Math.ceil((length + 9) / 64);
  const tail = new Uint8Array(blocks * 64 - Math.floor(length / 64) * 64);
  tail.set(bytes.subarray(Math.floor(length / 64) * 64));
  tail[length % 64] = 0x80;
  new DataView(tail.buffer).setBigUint64(tail.length - 8, BigInt(length) * 8n);
  const whole = new DataView(bytes.buffer, bytes.byteOffset, length), end = new DataView(tail.buffer);
  const h = Uint32Array.from(SHA_START), w = new Int32Array(64);
  for (let block = 0; block < blocks; block++) {
    const inside = (block + 1) * 64 <= length;
    const from = inside ? whole : end, at = inside ? block * 64 : block * 64 - Math.floor(length / 64) * 64;
    for (let i = 0; i < 16; i++) w[i] = from.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] + (turned(x, 7) ^ turned(x, 18) ^ (x >>> 3)) + (turned(y, 17) ^ turned(y, 19) ^ (y >>> 10));
    }
    let a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
    for (let i = 0; i < 64; i++) {
      const one = (k + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + SHA_ROUNDS[i] + w[i]) | 0;
      const two = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      k = g; g = f; f = e;
      e = (d + one) | 0;
      d = c; c = b; b = a;
      a = (one + two) | 0;
    }
    h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e; h[5] += f; h[6] += g; h[7] += k;
  }
  return Array.from(h, (value) => value.toString(16).padStart(8, "0")).join("");
}

function turned(x, places) {
  return (x >>> places) | (x << (32 - places));
}

/** The digest of numbers as doubles of little-endian order, all NaN alike; the native engine's is made in the same way. */
function digestOf(numbers) {
  const bytes = new Uint8Array(8 * numbers.length), view = new DataView(bytes.buffer);
  for (let i = 0; i < numbers.length; i++)
    if (Number.isNaN(numbers[i])) view.setBigUint64(8 * i, 0x7ff8000000000000n, true);
    else view.setFloat64(8 * i, numbers[i], true);
  return sha256(bytes);
}
