// Saves charts as SVG, and lets the keyboard do what the mouse does in charts. Streamlit's shortcuts cannot: they run the page again.
//   + - 0 and Shift with an arrow: zoom, reset and move the candles
//   arrows and Enter on a cell of a map: go to the next cell, click it
(() => {
  if (window.tickerlakeKeys) return;
  window.tickerlakeKeys = true;
  const MARGIN = 24;
  const CELLS = ".st-key-cells g.mark-rect.role-mark";
  const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  const middle = (element) => {
    const box = element.getBoundingClientRect();
    return { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, width: box.width };
  };
  const send = (element, Kind, name, more) =>
    element.dispatchEvent(new Kind(name, { bubbles: true, cancelable: true, ...more }));

  const zoom = (plot, deltaY) => send(plot, WheelEvent, "wheel", { ...middle(plot), deltaY });
  const move = (plot, direction) => {
    const at = middle(plot);
    send(plot, PointerEvent, "pointerdown", at);
    requestAnimationFrame(() => {
      const to = { ...at, clientX: at.clientX - direction * at.width / 6 };
      send(plot, PointerEvent, "pointermove", to);
      send(plot, PointerEvent, "pointerup", to);
    });
  };
  const pressed = (event, plot) => {
    if (event.shiftKey && event.key in DIRECTIONS) return move(plot, DIRECTIONS[event.key][0]);
    if (event.key === "+" || event.key === "=") return zoom(plot, -300);
    if (event.key === "-") return zoom(plot, 300);
    if (event.key === "0") return send(plot, MouseEvent, "dblclick", middle(plot));
  };

  // Of the cells in that direction the nearest; cells beside the line count as further away.
  const next = (cell, [right, down]) => {
    const from = middle(cell);
    const distance = (other) => {
      const to = middle(other);
      const x = to.clientX - from.clientX, y = to.clientY - from.clientY;
      const ahead = x * right + y * down, aside = Math.abs(x * down) + Math.abs(y * right);
      return ahead > 1 ? ahead + 20 * aside : Infinity;
    };
    const cells = [...cell.parentNode.children].map((other) => [distance(other), other]);
    const [best, other] = cells.reduce((a, b) => (b[0] < a[0] ? b : a));
    return best < Infinity ? other : cell;
  };

  // Saves the chart beside the button as it is drawn, on the page's background.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".save-svg");
    if (!button) return;
    const svg = button.closest("[class*=st-key-chart-]").querySelector("svg.marks").cloneNode(true);
    // Where the page's font is missing, another may be wider.
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    svg.setAttribute("viewBox", `${-MARGIN} 0 ${width + 2 * MARGIN} ${height}`);
    svg.setAttribute("width", width + 2 * MARGIN);
    const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    paper.setAttribute("x", -MARGIN);
    paper.setAttribute("width", "100%");
    paper.setAttribute("height", "100%");
    paper.setAttribute("fill", getComputedStyle(document.querySelector(".stApp")).backgroundColor);
    svg.prepend(paper);
    const link = document.createElement("a");
    // Vega names gradients by the page's address.
    const drawing = new XMLSerializer().serializeToString(svg).replace(/url\([^)#]*(#[^)&"]*)[^)]*\)/g, "url($1)");
    link.href = URL.createObjectURL(new Blob([drawing], { type: "image/svg+xml" }));
    link.download = button.value;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (target.matches?.(`${CELLS} path`)) {
      if (event.key === "Enter") send(target, MouseEvent, "click", middle(target));
      if (!(event.key in DIRECTIONS)) return;
      event.preventDefault();
      const other = next(target, DIRECTIONS[event.key]);
      target.tabIndex = -1;
      other.tabIndex = 0;
      other.focus();
    } else if (!target.matches?.("input, textarea, select, [contenteditable]") && !event.ctrlKey && !event.metaKey) {
      for (const plot of document.querySelectorAll("[class*=st-key-zoom] .role-frame.root > g > path.background")) {
        pressed(event, plot);
      }
    }
  }, true);

  // Vega draws a map anew with each change, and may have drawn it before this runs; the Tab key reaches one cell of it.
  const reach = () => {
    // The marks behind the others are the cells.
    const cells = document.querySelector(CELLS);
    if (cells && !cells.querySelector("[tabindex='0']")) cells.firstElementChild?.setAttribute("tabindex", "0");
  };
  new MutationObserver(reach).observe(document.body, { childList: true, subtree: true });
  reach();
})();
