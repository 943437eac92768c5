// The viewer of maps. Names and labels are set as text only, never as HTML.
"use strict";
(() => {
  const SIDE = 448; // of a canvas; its picture is as large as the page's width allows
  const find = (name) => document.getElementById("explanations-" + name);
  const data = JSON.parse(find("data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const colors = bytes(data.colors);
  const slider = find("mass");
  let chosen = 0; // of the images
  let panels = []; // of its maps

  function element(name, text, parent) {
    const made = document.createElement(name);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  /** Values on another grid, bilinear, with samples in the middle of cells. */
  function resampled(values, width, height, newWidth, newHeight) {
    const fine = new Float32Array(newWidth * newHeight);
    const place = (i, from, to) => Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    for (let i = 0; i < newHeight; i++) {
      const y = place(i, height, newHeight), top = Math.floor(y);
      const above = top * width, below = Math.min(top + 1, height - 1) * width;
      for (let k = 0; k < newWidth; k++) {
        const x = place(k, width, newWidth), left = Math.floor(x);
        const right = Math.min(left + 1, width - 1), u = x - left, v = y - top;
        fine[i * newWidth + k] =
          (1 - v) * ((1 - u) * values[above + left] + u * values[above + right]) +
          v * ((1 - u) * values[below + left] + u * values[below + right]);
      }
    }
    return fine;
  }

  /** The smallest set of cells that holds a share of the mass; all cells of a map of zeros. */
  function topMass(values, order, share) {
    const total = values.reduce((sum, value) => sum + value, 0);
    const kept = new Uint8Array(values.length).fill(total ? 0 : 1);
    let held = 0;
    for (const cell of total ? order : []) {
      kept[cell] = 1;
      held += values[cell];
      if (held >= share * total * (1 - 1e-6)) break;
    }
    return kept;
  }

  /** A map, or one of its heads, on the grid on which it is cut. */
  function choose(panel, layer, picture) {
    const { map } = panel, values = bytes(map.layers[layer].values);
    const grid = map.patches ? map : picture;
    panel.columns = grid.width;
    panel.rows = grid.height;
    panel.values = map.patches
      ? values : resampled(values, map.width, map.height, grid.width, grid.height);
    panel.order = Uint32Array.from(panel.values.keys());
    panel.order.sort((a, b) => panel.values[b] - panel.values[a] || a - b);
  }

  /** Paint what is kept: a patch as it is, any other map in color over gray; the rest dark. */
  function shade(pixels, panel) {
    const { map, values, rows, columns } = panel, { width, height } = pixels;
    const kept = topMass(values, panel.order, slider.value / 100);
    const largest = values[panel.order[0]] || 1;
    for (let i = 0; i < height; i++) {
      for (let k = 0; k < width; k++) {
        const row = Math.floor(((i + 0.5) * rows) / height);
        const cell = row * columns + Math.floor(((k + 0.5) * columns) / width);
        const rgb = pixels.data.subarray(4 * (i * width + k), 4 * (i * width + k) + 3);
        const gray = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
        const value = values[cell] / largest, opacity = data.strength * value;
        const color = 3 * Math.round(255 * value);
        for (let c = 0; c < 3; c++) {
          if (!kept[cell]) rgb[c] = data.dim * (map.patches ? rgb[c] : gray);
          else if (!map.patches) rgb[c] = (1 - opacity) * gray + opacity * colors[color + c];
        }
      }
    }
  }

  /** Draw a panel anew: the picture, its map if it has one, and the lesion's outline. */
  function draw(panel, picture, image) {
    const small = document.createElement("canvas");
    small.width = picture.width;
    small.height = picture.height;
    const source = small.getContext("2d");
    source.drawImage(picture, 0, 0);
    if (panel.map) {
      const pixels = source.getImageData(0, 0, small.width, small.height);
      shade(pixels, panel);
      source.putImageData(pixels, 0, 0);
    }
    const { canvas } = panel, context = canvas.getContext("2d");
    canvas.width = SIDE;
    canvas.height = Math.round((SIDE * picture.height) / picture.width);
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
    if (!find("outline").checked) return;
    context.lineWidth = 2.5;
    for (const line of image.outlines) {
      context.beginPath();
      for (let i = 0; i < line.length; i += 2) {
        context.lineTo(line[i] * canvas.width, line[i + 1] * canvas.height);
      }
      for (const [color, dashes] of [["white", []], ["black", [8, 8]]]) {
        context.strokeStyle = color;
        context.setLineDash(dashes);
        context.stroke();
      }
    }
  }

  function makePanel(map, image, picture) {
    const figure = element("figure", "", find("maps"));
    const panel = { map, canvas: element("canvas", "", figure) };
    const caption = element("figcaption", "", figure);
    element("b", map ? map.arm : "image", caption);
    panel.canvas.setAttribute("role", "img");
    panel.canvas.setAttribute("aria-label", map ? `${map.method} of ${map.arm}` : image.name);
    if (!map) return panel;
    element("span", map.method, caption);
    element("span", map.answer, caption).className = map.wrong ? "failed" : "";
    choose(panel, 0, picture);
    if (map.layers.length > 1) {
      const heads = element("select", "", caption);
      heads.setAttribute("aria-label", `Attention head of ${map.arm}`);
      for (const layer of map.layers) element("option", layer.name, heads);
      heads.addEventListener("change", () => {
        choose(panel, heads.selectedIndex, picture);
        draw(panel, picture, image);
      });
    }
    return panel;
  }

  function redraw() {
    find("share").textContent = slider.value;
    for (const panel of panels) draw(panel, panel.picture, data.images[chosen]);
  }

  async function show(number) {
    chosen = number;
    const image = data.images[number], picture = new Image();
    [...find("images").children].forEach((button, i) => {
      button.setAttribute("aria-pressed", String(i === number));
    });
    picture.src = image.picture;
    await picture.decode();
    if (chosen !== number) return; // another one was chosen meanwhile
    find("truth").textContent = image.name + (image.label ? ", truth: " + image.label : "");
    find("outline").disabled = !image.outlines.length;
    find("maps").replaceChildren();
    panels = [null, ...image.maps].map((map) => makePanel(map, image, picture));
    for (const panel of panels) panel.picture = picture;
    redraw();
  }

  data.images.forEach((image, number) => {
    const button = element("button", "", find("images"));
    const thumbnail = element("img", "", button);
    button.type = "button";
    button.title = image.label ? `${image.name}: ${image.label}` : image.name;
    thumbnail.src = image.picture;
    thumbnail.alt = button.title;
    button.addEventListener("click", () => show(number));
  });
  slider.addEventListener("input", redraw);
  find("outline").addEventListener("change", redraw);
  find("viewer").hidden = false;
  show(0);
})();
