// Lines of a pen as a picture for the model, as Drawings.cs makes them: fitted into a square, ink by the distance from the line.
const BOX = 12, WHOLE = 0.3;

export function raster(lines, side) {
  const points = lines.flat(), xs = points.map(p => p.x), ys = points.map(p => p.y);
  const left = Math.min(...xs), top = Math.min(...ys), width = Math.max(...xs) - left, height = Math.max(...ys) - top;
  const scale = BOX / Math.max(width, height, 1e-6), dx = side / 2 - (left + width / 2) * scale, dy = side / 2 - (top + height / 2) * scale;
  const placed = lines.map(line => line.map(p => ({ x: p.x * scale + dx, y: p.y * scale + dy })));
  return Float32Array.from({ length: side * side }, (_, i) => {
    const x = (i % side) + 0.5, y = Math.floor(i / side) + 0.5;
    let nearest = Infinity;
    for (const line of placed) line.forEach((b, j) => { nearest = Math.min(nearest, distance(x, y, line[Math.max(0, j - 1)], b)); });
    return Math.min(1, Math.max(0, 1 + WHOLE - nearest));
  });
}

function distance(x, y, a, b) {
  const dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - a.x) * dx + (y - a.y) * dy) / length));
  return Math.hypot(a.x + t * dx - x, a.y + t * dy - y);
}

// Pictures that came from the server as bytes in base64.
export const fromBytes = text => Float32Array.from(atob(text), c => c.charCodeAt(0) / 255);

// Paints a picture into a canvas of as many pixels, ink in the given colour.
export function paint(canvas, image, side, colour) {
  canvas.width = canvas.height = side;
  const context = canvas.getContext('2d');
  context.fillStyle = colour;
  image.forEach((ink, i) => {
    context.globalAlpha = ink;
    context.fillRect(i % side, Math.floor(i / side), 1, 1);
  });
}
