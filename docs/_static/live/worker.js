// The worker behind all live cells of a page. It loads ONNX Runtime Web when the first question comes, and answers one
// question after the other: `run` a network on a picture, `cover` a picture place by place, `restore` one tile by tile, `read` the next tokens
// of a text.
//
// A question is {id, what, model, …}. What goes back is {id, progress}, {id, part}, and at the end {id, answer} or {id, error}.
// {cancel: id} ends a question early: it is answered by null.

const here = new URL('.', import.meta.url);
const models = new Map();     // name -> promise of {session, card, history, states}
const cancelled = new Set();  // questions that nobody waits for any more
let runtime;                  // promise of the runtime
let before = Promise.resolve();

onmessage = ({ data: o }) => {
  if (o.cancel) cancelled.add(o.cancel);
  else before = before.then(() => reply(o));
};

async function reply(o) {
  const say = more => postMessage({ id: o.id, ...more });
  // A worker sees messages only while it waits, so it waits a moment before it looks.
  const stopped = () => new Promise(done => setTimeout(() => done(cancelled.has(o.id))));
  try {
    const model = await stopped() ? null : await opened(o.model, progress => say({ progress }));
    say({ answer: await stopped() ? null : await { run, cover, restore, read }[o.what](model, o, say, stopped) });
  } catch (e) {
    say({ error: e.message || String(e) });
  }
  cancelled.delete(o.id);
}

// ---- loading

async function bytes(url, what, size, tell) {
  const answer = await fetch(url).catch(e => { throw new Error(`${what} could not be loaded: ${e.message}`); });
  if (!answer.ok) throw new Error(`${what} could not be loaded: the server answers ${answer.status}`);
  const parts = [];
  let n = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    n += value.length;
    tell({ what: `Loading ${what}`, share: Math.min(1, n / size) });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function startRuntime(tell) {
  const ort = await import(new URL('ort.wasm.bundle.min.mjs', here));
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = 1;  // more need headers that a plain static server does not send
  ort.env.wasm.wasmBinary = await bytes(new URL('ort-wasm-simd-threaded.wasm', here), 'ONNX Runtime', 14.2e6, tell);
  return ort;
}

async function openModel(name, tell) {
  runtime ??= startRuntime(tell);
  const ort = await runtime.catch(e => { runtime = undefined; throw e; });
  const folder = new URL(`models/${name}/`, here);
  const card = JSON.parse(new TextDecoder().decode(await bytes(new URL('model.json', folder), 'the network', 1e3, () => {})));
  const net = await bytes(new URL('model.onnx', folder), 'the network', card.bytes, tell);
  return { ort, card, session: await ort.InferenceSession.create(net), history: [], states: null };
}

function opened(name, tell) {
  if (!models.has(name)) models.set(name, openModel(name, tell).catch(e => { models.delete(name); throw e; }));
  return models.get(name);
}

// ---- a picture goes through a network

// Floats 0…1 (channels, height, width) as the network wants them.
function normalised(pixels, card) {
  const { mean, std } = card, n = mean ? pixels.length / mean.length : 0;
  return mean ? pixels.map((v, i) => (v - mean[Math.floor(i / n)]) / std[Math.floor(i / n)]) : pixels;
}

async function run({ ort, session, card }, { pixels, shape }) {
  const input = new ort.Tensor('float32', normalised(pixels, card), [1, ...shape]);
  const out = await session.run({ [session.inputNames[0]]: input });
  return card.outputs.map(({ name }) => ({ name, dims: out[name].dims, data: out[name].data }));
}

// ---- a square of zeros covers a picture place by place: lesson7_lib.vision.class_maps.occlusion_maps

// The pixels of a side that each square covers: its middle is that of a cell.
function covered(n, cells, wide) {
  const half = wide * n / cells / 2, middles = Array.from({ length: cells }, (_, i) => (i + 0.5) * n / cells);
  return middles.map(o => [Math.max(0, Math.floor(o - half + 0.5)), Math.min(n, Math.floor(o + half + 0.5))]);
}

function logSoftmax(scores) {
  const top = Math.max(...scores), log = top + Math.log(scores.reduce((sum, o) => sum + Math.exp(o - top), 0));
  return Array.from(scores, o => o - log);
}

// For each class: how far the log of its probability falls at most, and the map of the falls at the picture's size, from 0 to 1. A row of places
// goes through the network at once.
async function cover({ ort, session, card }, { pixels, shape }, say, stopped) {
  const [channels, height, width] = shape, { cells, wide } = card.heatmap, x = normalised(pixels, card), rows = [];
  const scoresOf = async (batch, n) => {
    const out = (await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', batch, [n, ...shape]) }))[session.outputNames[0]];
    return Array.from({ length: n }, (_, i) => logSoftmax(out.data.slice(i * out.dims[1], (i + 1) * out.dims[1])));
  };
  const [whole] = await scoresOf(x, 1), columns = covered(width, cells, wide);
  for (const [top, bottom] of covered(height, cells, wide)) {
    if (await stopped()) return null;
    const batch = new Float32Array(cells * x.length);
    columns.forEach(([left, right], k) => {
      batch.set(x, k * x.length);
      for (let c = 0; c < channels; c++) for (let y = top; y < bottom; y++) {
        const line = k * x.length + (c * height + y) * width;
        batch.fill(0, line + left, line + right);
      }
    });
    rows.push(...await scoresOf(batch, cells));
    say({ progress: { what: 'Covering place by place', share: rows.length / cells ** 2 } });
  }
  return whole.map((before, k) => {
    const falls = rows.map(o => Math.max(0, before - o[k]));
    return { fall: Math.max(...falls), values: enlarged(falls, cells, height, width) };
  });
}

// A square map at the size of a picture, from 0 to 1, as `fit_maps` does it in Python.
function enlarged(map, cells, height, width) {
  const at = (i, size) => {  // between which cells a pixel is, and how far from the first
    const x = Math.min(cells - 1, Math.max(0, (i + 0.5) * cells / size - 0.5)), first = Math.floor(x);
    return [first, Math.min(first + 1, cells - 1), x - first];
  };
  const big = new Float32Array(height * width);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const [top, bottom, down] = at(y, height), [left, right, along] = at(x, width);
    const line = r => map[r * cells + left] * (1 - along) + map[r * cells + right] * along;
    big[y * width + x] = line(top) * (1 - down) + line(bottom) * down;
  }
  const low = Math.min(...big), high = Math.max(...big);
  return big.map(o => high > low ? (o - low) / (high - low) : 0);
}

// ---- a picture is restored, tile by tile, with the tiles of lesson7_lib.apps.restore

// Where tiles begin and end along a side of n pixels. start:stop is seen; mix:own is blended with the tile before, own:tail is
// of this tile alone, tail:end is blended with the next.
function spans(n, tile, overlap) {
  const rest = tile - 2 * overlap, unit = rest > 32 ? 32 : 1;
  const step = unit === 32 ? Math.floor((rest - 1) / 32) * 32 : rest - Math.min(Math.floor(overlap / 2), Math.floor(rest / 2));
  const last = Math.max(0, Math.ceil((n - tile) / unit) * unit);
  const starts = [];
  for (let a = 0; a < last; a += step) starts.push(a);
  starts.push(last);
  const ends = starts.map((a, i) => i < starts.length - 1 ? a + tile - overlap : n);
  const mixes = [0, ...ends.slice(0, -1).map(e => e - (rest - step))];
  return starts.map((a, i) => ({
    start: a, stop: Math.min(a + tile, n), mix: mixes[i], own: i ? ends[i - 1] : 0, tail: mixes[i + 1] ?? n, end: ends[i],
  }));
}

// How much a tile counts at each place from mix to end.
function weights({ mix, own, tail, end }, k) {
  const rise = (i, n) => Math.sin(Math.PI / 2 * (i + 0.5) / n) ** 2;
  return Float32Array.from({ length: (end - mix) * k }, (_, i) => {
    const x = i + mix * k;
    return x < own * k ? rise(i, (own - mix) * k) : x < tail * k ? 1 : 1 - rise(x - tail * k, (end - tail) * k);
  });
}

// A tile of an RGBA picture as floats (3, h, w) with sides that `multiple` divides; the last pixels are repeated.
function cut(rgba, width, row, col, multiple) {
  const up = n => Math.ceil(n / multiple) * multiple;
  const h = up(row.stop - row.start), w = up(col.stop - col.start), x = new Float32Array(3 * h * w);
  for (let i = 0; i < h; i++) for (let j = 0; j < w; j++) {
    const from = 4 * (Math.min(row.start + i, row.stop - 1) * width + Math.min(col.start + j, col.stop - 1));
    for (let c = 0; c < 3; c++) x[(c * h + i) * w + j] = rgba[from + c] / 255;
  }
  return { x, h, w };
}

async function restore({ ort, session, card }, { rgba, width, height, tile, overlap }, say, stopped) {
  const rows = spans(height, tile, overlap), cols = spans(width, tile, overlap), [low, high] = card.range ?? [0, 1];
  let k, sum, done = 0;  // k: how many times larger the result is
  for (const row of rows) for (const col of cols) {
    if (await stopped()) return null;
    const { x, h, w } = cut(rgba, width, row, col, card.multiple ?? 1);
    const input = new ort.Tensor('float32', normalised(x, card), [1, 3, h, w]);
    const y = (await session.run({ [session.inputNames[0]]: input }))[session.outputNames[0]];
    if (!sum) {
      k = y.dims[3] / w;
      sum = new Float32Array(3 * height * k * width * k);
    }
    const wr = weights(row, k), wc = weights(col, k), H = height * k, W = width * k;
    for (let c = 0; c < 3; c++) for (let i = 0; i < wr.length; i++) {
      const to = (c * H + row.mix * k + i) * W + col.mix * k;
      const from = (c * h * k + (row.mix - row.start) * k + i) * w * k + (col.mix - col.start) * k;
      for (let j = 0; j < wc.length; j++) sum[to + j] += wr[i] * wc[j] * (y.data[from + j] - low) / (high - low);
    }
    y.dispose();
    say({ part: finished(sum, W, H, row, col, k), progress: { what: 'Restoring', share: ++done / (rows.length * cols.length) } });
  }
  return { width: width * k, height: height * k };
}

// The pixels that no later tile changes.
function finished(sum, W, H, row, col, k) {
  const x = col.mix * k, y = row.mix * k, width = (col.tail - col.mix) * k, height = (row.tail - row.mix) * k;
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);  // rounds, and keeps to 0…255
  for (let i = 0; i < height; i++) for (let j = 0; j < width; j++)
    for (let c = 0; c < 3; c++) rgba[4 * (i * width + j) + c] = 255 * sum[(c * H + y + i) * W + x + j];
  return { x, y, width, height, rgba, fullWidth: W, fullHeight: H };
}

// ---- a text is read, and the scores of the next token come back

const ids = (ort, list, shape) => new ort.Tensor('int64', BigInt64Array.from(list, BigInt), shape);

// Reads `tokens` after those of the calls before; `fresh` begins a new text.
async function read(net, { tokens, fresh }) {
  if (fresh) [net.history, net.states] = [[], null];
  net.history.push(...tokens);
  return net.card.inputs.some(o => o.name.startsWith('state')) ? readOn(net, tokens) : readWindow(net);
}

const lastScores = (out, i) => out.data.slice(i * out.dims.at(-1), (i + 1) * out.dims.at(-1));
const shapeOf = (card, n) => card.seq_first === false ? [1, n] : [n, 1];

// A network with a hidden state reads the new tokens only: all at once, or one by one where it takes no more.
async function readOn(net, tokens) {
  const { ort, session, card } = net, [first, ...rest] = card.inputs, states = rest.filter(o => o.name.startsWith('state'));
  net.states ??= Object.fromEntries(states.map(({ name, shape }) => {
    const dims = shape.map(n => n ?? 1);
    return [name, new ort.Tensor('float32', new Float32Array(dims.reduce((a, b) => a * b, 1)), dims)];
  }));
  let out;
  for (const part of first.shape.includes(null) && !card.length ? [tokens] : tokens.map(o => [o])) {
    out = await session.run({ [first.name]: ids(ort, part, shapeOf(card, part.length)), ...net.states });
    net.states = Object.fromEntries(states.map(({ name }) => [name, out[`new_${name}`]]));
  }
  const scores = out[card.outputs[0].name];
  return lastScores(scores, scores.data.length / scores.dims.at(-1) - 1);
}

// A network without one reads the last tokens again. Where it wants more than there are, zeros follow: it only looks back.
async function readWindow(net) {
  const { ort, session, card } = net, seen = net.history.slice(-(card.length ?? card.context ?? 32));
  const window = card.length ? [...seen, ...Array(card.length - seen.length).fill(0)] : seen;
  const out = await session.run({ [card.inputs[0].name]: ids(ort, window, shapeOf(card, window.length)) });
  return lastScores(out[card.outputs[0].name], seen.length - 1);
}
