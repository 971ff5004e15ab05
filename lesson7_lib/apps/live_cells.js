// Live cells of the page that `lesson7_demo` writes: its networks in plain JavaScript. What people draw and type into is in live_parts.js,
// which stands before this on the page.

// Numbers of the page: 4 bytes each, as text.
const floatsOf = text => new Float32Array(Uint8Array.from(atob(text), o => o.charCodeAt(0)).buffer);

// A network of pictures. `ops` names its layers in order; each takes the next of the weights.
function digitNet({ ops, mean, std, weights }) {
  const w = floatsOf(weights);
  return pixels => {
    let at = 0, side = 28, x = pixels.map(v => (v - mean) / std);
    const take = n => w.subarray(at, at += n), kept = [];
    for (const [op, ni, nf, ks, stride, pad] of ops) {
      if (op === 'keep') kept.push(x);
      if (op === 'add') {
        const before = kept.pop();
        x = x.map((v, i) => v + before[i]);
      }
      if (op === 'relu') x = x.map(v => Math.max(v, 0));
      if (op === 'scale') {  // a batch norm in evaluation mode
        const a = take(ni), b = take(ni), n = side * side;
        x = x.map((v, i) => v * a[Math.floor(i / n)] + b[Math.floor(i / n)]);
      }
      if (op === 'conv') {
        [x, side] = conv(x, side, take(nf * ni * ks * ks), take(nf), ni, nf, ks, stride, pad);
      }
    }
    return x;
  };
}

function conv(x, side, w, bias, ni, nf, ks, stride, pad) {
  const out = Math.floor((side + 2 * pad - ks) / stride) + 1, y = new Float32Array(nf * out * out);
  for (let f = 0, at = 0; f < nf; f++) for (let i = 0; i < out; i++) for (let j = 0; j < out; j++, at++) {
    let sum = bias[f];
    for (let c = 0; c < ni; c++) for (let a = 0; a < ks; a++) for (let b = 0; b < ks; b++) {
      const row = i * stride + a - pad, col = j * stride + b - pad;
      if (row >= 0 && row < side && col >= 0 && col < side)
        sum += w[((f * ni + c) * ks + a) * ks + b] * x[(c * side + row) * side + col];
    }
    y[at] = sum;
  }
  return [y, out];
}

// Layers of gated units: an embedding, the layers, a linear layer. It reads one word at a time.
function countNet({ nv, nh, layers, weights }) {
  const w = floatsOf(weights);
  let at = 0, state;
  const take = n => w.subarray(at, at += n);
  const linear = (ni, nf) => ({ ni, w: take(ni * nf), b: take(nf) });
  const apply = ({ ni, w, b }, x) => b.map((v, i) => {
    for (let k = 0; k < ni; k++) v += w[i * ni + k] * x[k];
    return v;
  });
  const words = take(nv * nh);
  const cells = Array.from({ length: layers }, () => ({ fromX: linear(nh, 3 * nh), fromH: linear(nh, 3 * nh) }));
  const head = linear(nh, nv), sigmoid = v => 1 / (1 + Math.exp(-v));
  return {
    reset() { state = cells.map(() => new Float32Array(nh)); },
    read(token) {
      let x = words.subarray(token * nh, (token + 1) * nh);
      cells.forEach(({ fromX, fromH }, k) => {
        const a = apply(fromX, x), b = apply(fromH, state[k]);
        x = state[k] = state[k].map((h, i) => {
          const reset = sigmoid(a[i] + b[i]), update = sigmoid(a[nh + i] + b[nh + i]);
          const fresh = Math.tanh(a[2 * nh + i] + reset * b[2 * nh + i]);
          return (1 - update) * fresh + update * h;
        });
      });
      return Array.from(apply(head, x));
    },
  };
}

for (const box of document.querySelectorAll('[data-live]')) {
  const card = JSON.parse(box.querySelector('script').textContent), status = statusLine();
  box.querySelector('p').remove();
  if (box.dataset.live === 'digits') {
    const net = digitNet(card);
    digitCell(box, box, status, async pixels => net(pixels));
  } else {
    const net = countNet(card);
    countCell(box, box, status, card, async (tokens, fresh) => {
      if (fresh) net.reset();
      return tokens.map(o => net.read(o)).at(-1);
    });
  }
}
