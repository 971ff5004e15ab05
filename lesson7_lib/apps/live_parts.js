// What live cells are made of, and two whole cells: draw a digit, count on. One file for the page that `lesson7_demo` writes and for the
// documentation (docs/live.py copies it there as a module). How a network answers is the page's own affair: it hands that in.

function make(tag, attributes = {}, ...children) {
  const o = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k in o && typeof v !== 'string') o[k] = v;
    else if (v !== undefined) o.setAttribute(k, v);
  }
  o.append(...children.flat());
  return o;
}

// A button that is off can still have the focus: it is switched off while its own work runs, and the keyboard must not lose its place.
function button(text, onclick, { off = false, ...more } = {}) {
  const o = make('button', { type: 'button', 'aria-disabled': `${off}`, ...more }, text);
  o.addEventListener('click', () => o.getAttribute('aria-disabled') === 'true' || onclick());
  return o;
}

const switchTo = (on, ...buttons) => buttons.forEach(o => o.setAttribute('aria-disabled', `${!on}`));
const row = (...children) => make('div', { class: 'live-row' }, ...children);
const percent = p => p > 0.9995 ? '100 %' : p >= 0.0995 ? `${Math.round(100 * p)} %` : `${(100 * p).toFixed(1)} %`;

const canvas = (width, height, more = {}) => make('canvas', { width, height, ...more });
const pen = c => c.getContext('2d', { willReadFrequently: true });
const pixelsOf = c => pen(c).getImageData(0, 0, c.width, c.height);
const wait = ms => new Promise(done => setTimeout(done, ms));
const bestOf = shares => shares.reduce((best, p, i) => p > shares[best] ? i : best, 0);

// Names and shares, the largest marked.
function bars(label) {
  const box = make('ol', { class: 'live-bars', 'aria-label': label });
  box.show = (names, shares) => {
    const top = shares.indexOf(Math.max(...shares));
    box.replaceChildren(...names.map((name, i) => {
      const bar = make('span', { class: 'live-bar', 'aria-hidden': 'true' });
      bar.style.setProperty('--share', shares[i] || 0);
      return make('li', { class: i === top && shares[i] ? 'top' : '' }, make('span', { class: 'live-name' }, name), bar,
        make('span', { class: 'live-share' }, shares[i] === undefined ? '' : percent(shares[i])));
    }));
  };
  return box;
}

function softmax(scores, temperature = 1) {
  const top = Math.max(...scores), e = Array.from(scores, o => Math.exp((o - top) / temperature)), sum = e.reduce((a, b) => a + b);
  return e.map(o => o / sum);
}

// The line under a cell that says what goes on, with a bar while something is loaded or computed.
function statusLine() {
  const text = make('span', { role: 'status', 'aria-live': 'polite' }), bar = make('progress', { max: 1, hidden: true, 'aria-label': 'done' });
  const o = make('div', { class: 'live-status' }, text, bar);
  o.say = (words, bad = false) => {
    text.textContent = words;
    text.classList.toggle('bad', bad);
    bar.hidden = true;
  };
  o.progress = ({ what, share }) => {
    if (text.textContent !== what) text.textContent = what;
    text.classList.remove('bad');
    bar.hidden = false;
    bar.value = share;
  };
  o.fail = e => o.say(`That went wrong: ${e.message}.`, true);
  return o;
}

// ---- draw a digit

// Strokes as a digit of MNIST: the longer side of the ink is 20 of 28 pixels, its centre of mass is in the middle.
function asDigit(strokes) {
  const points = strokes.flat(), xs = points.map(p => p[0]), ys = points.map(p => p[1]);
  const [left, top] = [Math.min(...xs), Math.min(...ys)], [wide, high] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const fine = 8, thick = 2.4, big = canvas(28 * fine, 28 * fine), p = pen(big);
  const zoom = Math.min((20 - thick) / Math.max(wide, high, 1e-6), 28 / 280 * 4);  // a dot stays a small thing
  const draw = (dx, dy) => {
    p.setTransform(1, 0, 0, 1, 0, 0);
    p.fillRect(0, 0, big.width, big.height);
    p.setTransform(fine, 0, 0, fine, dx * fine, dy * fine);
    p.lineWidth = thick;
    p.lineCap = p.lineJoin = 'round';
    p.strokeStyle = '#fff';
    for (const stroke of strokes) {
      p.beginPath();
      stroke.forEach(([x, y]) => p.lineTo((x - left - wide / 2) * zoom, (y - top - high / 2) * zoom));
      if (stroke.length === 1) p.lineTo((stroke[0][0] - left - wide / 2) * zoom + 0.01, (stroke[0][1] - top - high / 2) * zoom);
      p.stroke();
    }
    const { data } = pixelsOf(big), out = new Float32Array(28 * 28);
    for (let y = 0; y < big.height; y++) for (let x = 0; x < big.width; x++)
      out[Math.floor(y / fine) * 28 + Math.floor(x / fine)] += data[4 * (y * big.width + x)] / 255 / fine ** 2;
    return out;
  };
  const ink = draw(14, 14), sum = ink.reduce((a, b) => a + b, 0) || 1;
  const mean = f => ink.reduce((a, v, i) => a + v * f(i), 0) / sum;
  return draw(14 + 13.5 - mean(i => i % 28), 14 + 13.5 - mean(i => Math.floor(i / 28)));
}

function paintGrey(c, values, low = 0, high = 1) {
  const p = pen(c), im = p.createImageData(c.width, c.height);
  values.forEach((v, i) => im.data.set([...Array(3).fill(255 * (v - low) / (high - low || 1)), 255], 4 * i));
  p.putImageData(im, 0, 0);
}

// `classify` promises ten scores for 28×28 pixels; `forget` is told when nothing is drawn any more. `keeper.last` is what went in and came out.
function digitCell(keeper, box, status, classify, forget = () => {}) {
  const side = 280, nothing = Array(10).fill(undefined), names = [...'0123456789'];
  const field = canvas(side, side, {
    class: 'live-draw', tabIndex: 0, role: 'application',
    'aria-label': 'Drawing field. Draw a digit with mouse or finger; or move the pen with the arrow keys, put it down and lift it with the space bar, ' +
      'take a stroke back with Backspace, clear with Delete.',
  });
  const small = canvas(28, 28, { class: 'live-small', role: 'img', 'aria-label': 'the digit as the network sees it, 28 by 28 pixels' });
  const shares = bars('Probability of each digit'), p = pen(field);
  let strokes = [], at = [side / 2, side / 4], down = false, keys = false, timer, running = false, again = false;

  function paint() {
    p.fillStyle = '#10131a';
    p.fillRect(0, 0, side, side);
    p.strokeStyle = '#fff';
    p.lineWidth = 20;
    p.lineCap = p.lineJoin = 'round';
    for (const stroke of strokes) {
      p.beginPath();
      stroke.forEach(o => p.lineTo(...o));
      if (stroke.length === 1) p.lineTo(stroke[0][0] + 0.01, stroke[0][1]);
      p.stroke();
    }
    if (!strokes.length && !keys) {
      p.fillStyle = '#8b95a5';
      p.font = '17px sans-serif';
      p.textAlign = 'center';
      p.fillText('Draw a digit here', side / 2, side / 2);
    }
    if (keys && document.activeElement === field) {  // where the pen of the keyboard is
      p.beginPath();
      p.arc(...at, 10, 0, 7);
      p.lineWidth = 2;
      p.strokeStyle = p.fillStyle = '#7fb2ff';
      down ? p.fill() : p.stroke();
    }
  }

  async function look() {
    if (running) return void (again = true);
    running = true;
    do {
      again = false;
      if (!strokes.length) break;
      const pixels = asDigit(strokes);
      paintGrey(small, pixels);
      try {
        const scores = await classify(pixels), found = softmax(scores), best = bestOf(found);
        if (!strokes.length) {
          clear();
          break;
        }
        keeper.last = { pixels, scores, shares: found };
        shares.show(names, found);
        status.say(found[best] > 0.5 ? `It reads ${best}, with ${percent(found[best])}.` : `It is not sure: ${best}, with ${percent(found[best])}.`);
      } catch (e) {
        status.fail(e);
      }
    } while (again);
    running = false;
  }

  const soon = () => { clearTimeout(timer); timer = setTimeout(look, 120); };
  function clear() {
    strokes = [];
    down = false;
    delete keeper.last;
    shares.show(names, nothing);
    forget();
    pen(small).clearRect(0, 0, 28, 28);
    status.say('');
    paint();
  }
  function undo() {
    strokes.pop();
    down = false;
    if (!strokes.length) return clear();
    paint();
    soon();
  }

  const place = e => {
    const r = field.getBoundingClientRect();
    return [(e.clientX - r.left) * side / r.width, (e.clientY - r.top) * side / r.height];
  };
  field.addEventListener('pointerdown', e => {
    if (e.button || !e.isPrimary) return;
    field.setPointerCapture(e.pointerId);
    keys = false;
    down = false;
    strokes.push([place(e)]);
    paint();
  });
  field.addEventListener('pointermove', e => {
    if (!field.hasPointerCapture(e.pointerId) || !e.isPrimary) return;
    strokes.at(-1)?.push(...(e.getCoalescedEvents?.() ?? [e]).map(place), place(e));
    paint();
  });
  field.addEventListener('pointerup', soon);
  field.addEventListener('pointercancel', soon);
  field.addEventListener('focus', () => { keys = field.matches(':focus-visible'); paint(); });
  field.addEventListener('blur', () => { down = false; paint(); });
  field.addEventListener('keydown', e => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!move && ![' ', 'Backspace', 'Delete'].includes(e.key)) return;
    e.preventDefault();
    e.stopPropagation();  // the arrow keys turn the site's pages elsewhere
    keys = true;
    if (move) {
      at = at.map((v, i) => Math.max(10, Math.min(side - 10, v + 10 * move[i])));
      if (down) strokes.at(-1).push([...at]);
    }
    if (e.key === ' ' && (down = !down)) strokes.push([[...at]]);
    if (e.key === 'Delete') return clear();
    if (e.key === 'Backspace') return undo();
    paint();
    if (strokes.length && (down || e.key === ' ')) soon();
  });
  shares.show(names, nothing);
  paint();
  box.append(
    make('div', { class: 'live-two' },
      make('div', {}, field, row(button('Clear', clear), button('Take back a stroke', undo))),
      make('div', {}, shares, make('figure', { class: 'live-seen' }, small, make('figcaption', {}, 'what the network sees')))),
    status);
}

// Scores in which no token is left that must never be chosen.
function allowed(scores, card) {
  const res = Array.from(scores);
  for (const i of card.never ?? []) res[i] = -Infinity;
  return res;
}

// ---- count on

const ones = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(' ');
const tens = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');

function numberWords(n) {
  if (n >= 1000) return `${ones[Math.floor(n / 1000) - 1]} thousand ${numberWords(n % 1000)}`.trim();
  if (n >= 100) return `${ones[Math.floor(n / 100) - 1]} hundred ${numberWords(n % 100)}`.trim();
  if (n >= 20) return `${tens[Math.floor(n / 10) - 2]} ${numberWords(n % 10)}`.trim();
  return n ? ones[n - 1] : '';
}

// `read` promises the scores of what follows some more tokens; `fresh` begins a new text.
function countCell(keeper, box, status, card, read) {
  const input = make('input', { type: 'number', min: '3', max: '9988', value: '2017', inputMode: 'numeric' });
  const text = make('div', { class: 'live-text', role: 'log', 'aria-live': 'off', 'aria-label': 'the numbers' });
  const shares = bars('Probability of the next word');
  const step = button('Next word', () => go(1)), many = button('Count on', () => go(Infinity), { class: 'go' });
  const stop = button('Stop', () => { left = 0; }, { off: true });
  let said, next, start, left = 0, turn = 0;  // said: words of the model; next: probabilities of the word to come

  const known = words => words.map(w => {
    const i = card.vocab.indexOf(w);
    if (i < 0) throw new Error(`the network does not know the word ${w}`);
    return i;
  });
  async function hear(tokens, fresh) {
    const mine = turn, scores = await read(tokens, fresh);
    if (mine !== turn) throw new Error('another number was typed');
    next = softmax(allowed(scores, card));
    keeper.last = { tokens: fresh ? tokens : [...keeper.last.tokens, ...tokens], given: fresh ? tokens.length : keeper.last.given, scores };
    const order = next.map((_, i) => i).sort((a, b) => next[b] - next[a]).slice(0, 6);
    shares.show(order.map(i => card.vocab[i]), order.map(i => next[i]));
    status.say('');
  }

  // What the model has said, number by number, each marked once it is complete.
  function show() {
    const numbers = said.join(' ').split(' , '), whole = said.at(-1) === ',' ? numbers.length : numbers.length - 1;
    text.replaceChildren(...[start - 2, start - 1, start].map(n => make('span', { class: 'given' }, `${numberWords(n)}, `)),
      ...numbers.map((words, i) => {
        const done = i < whole, clean = words.replace(/ ?,$/, ''), right = clean === numberWords(start + 1 + i);
        return make('span', { class: done ? right ? 'right' : 'wrong' : 'open' }, clean + (done ? right ? ' ✓, ' : ` ✗ (${start + 1 + i}), ` : ' '));
      }));
    return { whole, right: numbers.slice(0, whole).filter((o, i) => o.replace(/ ?,$/, '') === numberWords(start + 1 + i)).length };
  }

  async function begins() {
    const n = +input.value;
    if (!Number.isInteger(n) || n < 3 || n > 9988)
      throw new Error(`${input.value || 'nothing'} is not a whole number from 3 to 9988: three numbers are read before, ten counted after it`);
    start = n;
    said = [];
    const given = [n - 2, n - 1, n].map(numberWords).join(' , ').split(' ').concat(',');
    await hear(known([...card.begin ?? [], ...given]), true);
    show();
  }
  async function go(n) {
    if (left) return;
    const mine = turn;
    left = Math.min(n, 100);  // ten numbers have fewer words
    switchTo(false, step, many);
    switchTo(n > 1, stop);
    try {
      if (!said) await begins();
      let score = show();
      for (const until = score.whole + 10; left > 0 && score.whole < until; left--) {
        const word = bestOf(next);
        said.push(card.vocab[word]);
        score = show();
        await hear([word], false);
        if (n > 1) await wait(90);
      }
      if (mine === turn) status.say(score.whole ? `${score.right} of ${score.whole} numbers right.` : n > 1 ? 'No number is finished.' : '');
    } catch (e) {
      if (mine === turn) status.say(`${e.message}.`, true);
    }
    left = 0;
    switchTo(true, step, many);
    switchTo(false, stop);
  }
  function again() {
    left = 0;
    turn++;
    said = undefined;
    delete keeper.last;
    text.replaceChildren();
    shares.show([], []);
    status.say('');
  }
  input.addEventListener('input', again);
  input.addEventListener('keydown', e => e.key === 'Enter' && go(Infinity));
  box.append(row(make('label', { class: 'live-choice' }, 'Count on from ', input), many, step, stop, button('From the start', again)), status, text, shares);
}
