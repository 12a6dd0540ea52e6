// Draw seldom where there is no graphics card: put before viser's own client.
//
// That client draws as often as the screen does, for a quarter of a second after everything that
// changes; so while a robot moves it always draws. By software this takes whole cores, which the
// robot may need. Who has a graphics card gets viser's client as it is.
(() => {
  const RATE = '<!-- RATE -->'; // [Hz]
  const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

  const probe = document.createElement('canvas').getContext('webgl2');
  const names = probe?.getExtension('WEBGL_debug_renderer_info');
  const renderer = names ? probe.getParameter(names.UNMASKED_RENDERER_WEBGL) : '';
  probe?.getExtension('WEBGL_lose_context')?.loseContext();
  document.documentElement.dataset.renderer = renderer;
  if (!SOFTWARE.test(renderer)) return;

  // Smooth edges are drawn from four times as many points.
  const getContext = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, options) {
    const isDrawing = kind.startsWith('webgl');
    return getContext.call(this, kind, isDrawing ? { ...options, antialias: false } : options);
  };

  const request = window.requestAnimationFrame.bind(window);
  let waiting = new Map();
  let isAsked = false;
  let due = 0; // [ms] when the next picture may be drawn
  let last = 0;

  function draw(time) {
    const callbacks = waiting;
    waiting = new Map();
    isAsked = false;
    due = performance.now() + 1000 / RATE;
    for (const callback of callbacks.values()) {
      try {
        callback(time);
      } catch (error) {
        reportError(error);
      }
    }
  }

  window.requestAnimationFrame = (callback) => {
    waiting.set(++last, callback);
    if (!isAsked) {
      isAsked = true;
      setTimeout(() => request(draw), Math.max(0, due - performance.now()));
    }
    return last;
  };
  window.cancelAnimationFrame = (id) => void waiting.delete(id);
})();
