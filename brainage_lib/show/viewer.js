// Runs beside one .brain-viewer element, whose JSON says which volumes there are. Nothing is
// loaded before the reader asks for it; then niivue, once a page, and a volume when it is shown.
// A page that is one file holds both in itself, niivue compressed.
(function () {
  const box = document.currentScript.parentElement.querySelector(".brain-viewer");
  const facts = JSON.parse(box.querySelector("script[type='application/json']").textContent);
  const find = (name) => box.querySelector(`[data-part=${name}]`);
  const says = find("says");
  const canvas = find("canvas");
  let nv = null;
  let shown = "";
  let queue = Promise.resolve();
  window.brainageVolumes = window.brainageVolumes || {};

  // Scripts, because a page opened from a folder may not fetch files.
  const script = (url) =>
    new Promise((ready, failed) => {
      const tag = document.createElement("script");
      tag.src = facts.base + url;
      tag.onload = ready;
      tag.onerror = () => failed(new Error(`${url} is not beside this page`));
      document.head.append(tag);
    });

  async function library() {
    const held = find("niivue");
    if (!held) return script("niivue.umd.js");
    Object.assign(window.brainageVolumes, JSON.parse(find("volumes").textContent));
    const bytes = Uint8Array.from(atob(held.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const tag = document.createElement("script");
    tag.textContent = await new Response(stream).text();
    document.head.append(tag);
    // A browser whose policy forbids the code says nothing by itself.
    if (!window.niivue) throw new Error("this browser does not run the code in the page");
  }

  async function volume(name, options) {
    if (!window.brainageVolumes[name]) await script(`viewer/${name}.js`);
    return niivue.NVImage.loadFromBase64({
      base64: window.brainageVolumes[name],
      name: `${name}.nii.gz`,
      ...options,
    });
  }

  const group = () => facts.groups[Number(find("group").value)];
  const threshold = () => Number(find("threshold").value) / 100;

  function words() {
    const now = group();
    const text = `${now.label}, n = ${now.n}${now.few ? " (few)" : ""}`;
    find("group").setAttribute("aria-valuetext", text);
    find("group-out").textContent = text;
    const percent = `${find("threshold").value} %`;
    find("threshold").setAttribute("aria-valuetext", `${percent} of the largest value`);
    find("threshold-out").textContent = percent;
  }

  async function load() {
    const now = group();
    const under = now.volumes[find("under").value];
    const over = now.volumes[find("over").value];
    const wanted = `${under} ${over}`;
    if (wanted === shown) return cut();
    says.textContent = "Loading …";
    box.dataset.ready = "";
    const list = [await volume(under, { colormap: find("under").value === "cbv" ? "viridis" : "gray" })];
    if (over) {
      list.push(
        await volume(over, { colormap: "inferno", opacity: 0.75, cal_min: threshold(), cal_max: 1 }),
      );
    }
    while (nv.volumes.length) nv.removeVolume(nv.volumes[0]);
    list.forEach((image) => nv.addVolume(image));
    shown = wanted;
    cut();
    box.dataset.ready = wanted;
    tell();
  }

  function cut() {
    if (nv.volumes.length > 1) {
      // Never the largest value itself: a map of one value would have no range.
      nv.volumes[1].cal_min = Math.min(threshold(), 0.99);
      nv.volumes[1].cal_max = 1;
    }
    nv.updateGLVolume();
  }

  const update = () => {
    words();
    if (nv) queue = queue.then(load).catch(fail);
  };

  function fail(error) {
    says.textContent = `The viewer cannot be shown: ${error.message}`;
    box.dataset.failed = error.message;
  }

  function tell() {
    if (!nv.volumes.length) return;
    const place = nv.frac2mm(nv.scene.crosshairPos);
    const at = ["x", "y", "z"].map((axis, i) => `${axis} ${Math.round(place[i])}`).join(", ");
    const values = nv.volumes.map((image, i) => {
      const voxel = image.mm2vox([place[0], place[1], place[2]]);
      const what = i ? "map" : find("under").selectedOptions[0].textContent;
      return `${what} ${image.getValue(...voxel).toFixed(2)}`;
    });
    says.textContent = `${at} mm; ${values.join(", ")}`.replaceAll("-", "−");
  }

  const steps = {
    ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0],
    ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
    PageUp: [0, 0, 1], PageDown: [0, 0, -1],
  };

  // Before niivue's own keys, which mean other things in other views.
  canvas.addEventListener(
    "keydown",
    (event) => {
      const step = steps[event.key];
      if (!step || !nv) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (find("view").value === "solid") {
        nv.setRenderAzimuthElevation(
          nv.scene.renderAzimuth + 10 * step[0],
          nv.scene.renderElevation + 10 * (step[1] + step[2]),
        );
      } else {
        nv.moveCrosshairInVox(...step);
        tell();
      }
    },
    true,
  );

  // A tap that is too short for niivue, which waits for a second finger.
  let tap = null;
  canvas.addEventListener("touchstart", (event) => {
    tap = event.touches.length === 1 ? event.touches[0] : null;
  });
  canvas.addEventListener("touchmove", () => (tap = null));
  canvas.addEventListener("touchend", () => {
    if (!tap || !nv || find("view").value === "solid") return;
    const frame = canvas.getBoundingClientRect();
    const at = [tap.clientX - frame.left, tap.clientY - frame.top].map((v) => v * nv.uiData.dpr);
    const place = nv.canvasPos2frac(at);
    if (place[0] < 0) return;
    nv.scene.crosshairPos = place;
    nv.drawScene();
    tell();
  });

  const views = { planes: 3, solid: 4, axial: 0, coronal: 1, sagittal: 2 };

  async function open() {
    find("start").disabled = true;
    find("start").textContent = "Loading …";
    try {
      if (!document.createElement("canvas").getContext("webgl2"))
        throw new Error("this browser has no WebGL 2");
      if (!window.niivue) await library();
      find("tools").hidden = false;
      find("stage").hidden = false;
      nv = new niivue.Niivue({
        backColor: [0, 0, 0, 1],
        crosshairColor: [0.35, 0.7, 0.9, 1],
        crosshairWidth: 1,
        crosshairWidthUnit: "mm",
        fontColor: [1, 1, 1, 1],
        fontMinPx: 14,
        multiplanarPadPixels: 8,
        show3Dcrosshair: true,
        multiplanarShowRender: niivue.SHOW_RENDER ? niivue.SHOW_RENDER.NEVER : 0,
        isOrientationTextVisible: true,
        isRadiologicalConvention: false,
        dragAndDropEnabled: false,
        viewModeHotKey: "",
        clipPlaneHotKey: "",
        loadingText: "",
      });
      nv.onLocationChange = tell;
      await nv.attachToCanvas(canvas);
      nv.setSliceType(views[find("view").value]);
      find("start").parentElement.hidden = true;
      words();
      queue = queue.then(load);
      await queue;
      canvas.focus({ preventScroll: true });
    } catch (error) {
      find("start").parentElement.hidden = true;
      fail(error);
    }
  }

  find("start").addEventListener("click", open);
  find("start").parentElement.hidden = false;
  for (const name of ["group", "threshold", "under", "over"])
    find(name).addEventListener("input", update);
  find("view").addEventListener("input", () => nv && nv.setSliceType(views[find("view").value]));
})();
