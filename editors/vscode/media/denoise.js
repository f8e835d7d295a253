// Draws the denoise view (src/denoisePage.ts makes the page, src/canvas.ts says what a step is). At most one drawing an
// animation frame, whatever comes in between; the slider looks at earlier steps. Text is set as text, never as HTML.
(() => {
  const editor = acquireVsCodeApi();
  const element = (id) => document.getElementById(id);
  let [run, steps, ending] = [undefined, [], undefined];
  let at = -1; // the step that is looked at; -1: the newest
  let isDrawing = false;

  function soon() {
    if (!isDrawing) {
      isDrawing = true;
      requestAnimationFrame(draw);
    }
  }

  function draw() {
    isDrawing = false;
    const index = at < 0 ? steps.length - 1 : Math.min(at, steps.length - 1);
    const step = steps[index];
    element('title').textContent = run === undefined ? '' : run.title;
    element('canvas').replaceChildren(
      spanOf('context', run === undefined ? '' : run.before),
      ...(step === undefined ? [] : step.spans.map(spanOfStep)),
      spanOf('context', run === undefined ? '' : run.after),
    );
    element('figures').textContent = step === undefined ? (ending === undefined ? 'The first step is awaited.' : '') : step.line;
    element('step').max = String(Math.max(1, steps.length));
    element('step').value = String(index + 1);
    element('step').disabled = steps.length < 2;
    element('ending').textContent = ending ?? '';
  }

  function spanOfStep(span) {
    const looks = span.state === 'draft' ? ['draft', `level${span.level}`] : [span.state];
    return spanOf([...looks, ...(span.isCorrected ? ['corrected'] : [])].join(' '), span.text);
  }

  function spanOf(name, text) {
    const span = document.createElement('span');
    span.className = name;
    span.textContent = text;
    return span;
  }

  element('step').addEventListener('input', (event) => {
    const chosen = Number(event.target.value) - 1;
    at = chosen === steps.length - 1 ? -1 : chosen;
    soon();
  });
  window.addEventListener('message', ({ data }) => {
    if ('step' in data) {
      steps.push(data.step);
    } else if ('run' in data) {
      ({ run, steps, ending } = data);
      at = -1;
    } else {
      ({ ending } = data);
    }
    soon();
  });
  editor.postMessage('ready');
})();
