// A square to draw in, by mouse, pen or finger.
export class Pad {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.lines = [];
    canvas.addEventListener('pointerdown', e => {
      e.preventDefault();
      // A pointer that a script sent can't be captured, and needs not be.
      try { canvas.setPointerCapture(e.pointerId); } catch { /* goes on without */ }
      this.lines.push([this.point(e)]);
      this.pointer = e.pointerId;
      this.show();
    });
    canvas.addEventListener('pointermove', e => {
      if (this.pointer !== e.pointerId) return;
      const events = e.getCoalescedEvents?.() ?? [];
      this.lines.at(-1).push(...(events.length > 0 ? events : [e]).map(p => this.point(p)));
      this.show();
    });
    for (const end of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(end, e => {
        if (this.pointer !== e.pointerId) return;
        this.pointer = undefined;
        this.changed();
      });
    }
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.show());
    this.show();
  }

  point(event) {
    const place = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - place.left) / place.width, y: (event.clientY - place.top) / place.height };
  }

  clear() {
    this.lines = [];
    this.picture = null;
    this.show();
    this.changed();
  }

  // A picture in place of lines, drawn by the program.
  put(picture, side) {
    this.lines = [];
    this.picture = { picture, side };
    this.show();
    this.changed();
  }

  show() {
    if (this.lines.length > 0) this.picture = null;
    const { canvas } = this, context = canvas.getContext('2d'), size = canvas.width;
    context.clearRect(0, 0, size, size);
    const colour = getComputedStyle(canvas).color;
    context.strokeStyle = context.fillStyle = colour;
    if (this.picture) {
      const { picture, side } = this.picture, cell = size / side;
      picture.forEach((ink, i) => {
        context.globalAlpha = ink;
        context.fillRect((i % side) * cell, Math.floor(i / side) * cell, cell, cell);
      });
      context.globalAlpha = 1;
      return;
    }
    context.lineWidth = size / 16;
    context.lineCap = context.lineJoin = 'round';
    for (const line of this.lines) {
      context.beginPath();
      line.forEach((p, i) => context[i === 0 ? 'moveTo' : 'lineTo'](p.x * size, p.y * size));
      // A dot is a line too.
      if (line.length === 1) context.lineTo(line[0].x * size, line[0].y * size + 0.01);
      context.stroke();
    }
  }
}
