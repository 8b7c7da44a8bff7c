// What the page tests want to know of a page, in one look.
() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const article = document.querySelector("article") || document.body;
  const numbers = (colour) => (colour.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  // The first ancestor that is painted; charts and outputs have none of their own.
  const ground = (element) => {
    for (let place = element; place; place = place.parentElement) {
      const colour = getComputedStyle(place).backgroundColor;
      const parts = numbers(colour);
      if (parts.length < 4 || parts[3] > 0.5) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (element, ink) => {
    const [high, low] = [light(ink), light(ground(element))].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const drawn = (chart) => {
    const box = chart.getBoundingClientRect();
    return box.width > 50 && box.height > 50 && chart.querySelector(".main-svg") !== null;
  };
  // Words that reach over the edge of their chart, or axis titles over each other.
  const cut = (chart) => {
    const edge = chart.getBoundingClientRect();
    const words = [...chart.querySelectorAll(".main-svg text")].filter((e) => e.textContent.trim());
    const boxes = (found) => found.map((word) => [word.textContent, word.getBoundingClientRect()]);
    const titles = boxes(words.filter((e) => /^x\d*title$/.test(e.classList[0])));
    const over = boxes(words).filter(([, b]) => b.left < edge.left - 2 || b.right > edge.right + 2);
    const above = titles.filter(([, b], at) =>
      titles.some(([, c], other) => other < at && Math.abs(b.top - c.top) < 5 &&
        b.left < c.right && c.left < b.right));
    return [...over, ...above].map(([text]) => text);
  };
  const chartWords = all(".plotly-graph-div .xtick text, .plotly-graph-div .legendtext");
  return {
    title: document.title,
    heading: article.querySelector("h1")?.innerText ?? "",
    text: article.innerText,
    mode: document.documentElement.dataset.theme,
    banner: document.querySelector(".bd-header-announcement")?.innerText.trim() ?? "",
    faults: all(".problematic, .system-message, .output.traceback").map((e) => e.innerText),
    charts: all(".plotly-graph-div").length,
    drawn: all(".plotly-graph-div").filter(drawn).length,
    shown: all("figure.shown").length,
    undescribed: all("article img")
      .filter((image) => !(image.getAttribute("alt") || "").trim())
      .map((image) => image.src.slice(0, 80)),
    undescribedCharts: all(".plotly-graph-div").filter(
      (chart) => !chart.closest("[role=img][aria-label]")?.getAttribute("aria-label").trim(),
    ).length,
    broken: all("img")
      .filter((image) => !image.complete || image.naturalWidth === 0)
      .map((image) => image.src.slice(0, 80)),
    unread: chartWords
      .filter((word) => contrast(word.closest("figure") || word, getComputedStyle(word).fill) < 3)
      .map((word) => word.textContent),
    cut: all(".plotly-graph-div").flatMap(cut),
    bannerContrast: all(".bd-header-announcement__content").map((element) =>
      contrast(element, getComputedStyle(element).color),
    )[0],
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    links: all("article a[href], .prev-next-area a[href]").map((link) => link.href),
    downloads: all(".dropdown-download-buttons a[href]").map((link) => link.href),
  };
}
