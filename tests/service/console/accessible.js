// What of a page is hard or impossible for some people: checked by the rules of WCAG 2.2 that a program can check.
() => {
  const faults = [];
  const shown = (one) => one.checkVisibility({ visibilityProperty: true }) && one.getClientRects().length > 0;
  const name = (one) => (one.tagName + (one.id ? `#${one.id}` : "") + ` "${(one.innerText ?? "").slice(0, 30)}"`).trim();
  const all = (selector) => [...document.querySelectorAll(selector)];

  for (const details of all("details")) details.open = true;

  // Page: language, title, landmarks, headings.
  if (!document.documentElement.lang) faults.push("no language");
  if (!/\S+ · batchpredict$/.test(document.title)) faults.push(`title "${document.title}"`);
  for (const landmark of ["header", "main"]) if (all(landmark).length !== 1) faults.push(`landmarks ${landmark}`);
  if (all("h1").length !== 1) faults.push(`${all("h1").length} headings of the first level`);
  let before = 0;
  for (const heading of all("h1, h2, h3, h4").filter(shown)) {
    const level = Number(heading.tagName[1]);
    if (level > before + 1) faults.push(`heading ${name(heading)} leaves out a level`);
    before = level;
  }
  const navigations = all("nav").map((one) => one.getAttribute("aria-label"));
  if (navigations.some((label) => !label) || new Set(navigations).size !== navigations.length) faults.push("navigations without names of their own");
  const ids = all("[id]").map((one) => one.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) faults.push(`id ${id} twice`);

  // Controls: a name; what they refer to is there.
  for (const control of all("input:not([type=hidden]), select, textarea")) {
    if (!control.labels.length || !control.labels[0].innerText.trim()) faults.push(`${name(control)} has no label`);
  }
  for (const one of all("a, button")) {
    if (shown(one) && !(one.innerText.trim() || one.getAttribute("aria-label"))) faults.push(`${name(one)} has no name`);
  }
  for (const one of all("[aria-labelledby], [aria-describedby]")) {
    for (const id of `${one.getAttribute("aria-labelledby") ?? ""} ${one.getAttribute("aria-describedby") ?? ""}`.split(/\s+/)) {
      if (id && !document.getElementById(id)) faults.push(`${name(one)} refers to ${id}, which is not there`);
    }
  }
  for (const one of all("progress, [role=region], [role=log]")) {
    if (!one.getAttribute("aria-label") && !one.getAttribute("aria-labelledby")) faults.push(`${name(one)} has no name`);
  }
  for (const one of all("*")) {
    const style = getComputedStyle(one);
    const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY) && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1);
    if (scrolls && shown(one) && one.tabIndex < 0 && one !== document.scrollingElement && !one.matches("textarea, input, select")) faults.push(`${name(one)} scrolls, and no key does it`);
  }

  // Tables: a caption, headers with a scope.
  for (const table of all("table")) {
    if (!table.caption?.textContent.trim()) faults.push(`${name(table)} has no caption`);
    const heads = [...table.querySelectorAll("th")];
    if (!heads.length || heads.some((head) => !head.scope)) faults.push(`${name(table)} has headers without scope`);
  }

  // Text: contrast of 4.5 to what is behind it.
  const parse = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(one) || one.closest("option, progress")) continue;
    const [light, dark] = [luminance(parse(getComputedStyle(one).color)), luminance(ground(one))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) faults.push(`${name(one)} has a contrast of ${contrast.toFixed(2)}`);
  }
  // What a control is bounded by: 3.
  for (const control of all("input:not([type=hidden]), select, textarea, progress").filter(shown)) {
    const [light, dark] = [luminance(parse(getComputedStyle(control).borderTopColor)), luminance(ground(control.parentElement))].sort((a, b) => b - a);
    if ((light + 0.05) / (dark + 0.05) < 3) faults.push(`the border of ${name(control)} is hard to see`);
  }

  // Nothing is pushed out of a narrow page.
  if (document.documentElement.scrollWidth > innerWidth + 1) {
    const wide = all("body *").filter((one) => shown(one) && one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, pre"));
    faults.push(`the page is ${document.documentElement.scrollWidth} wide: ${wide.slice(-1).map(name)}`);
  }
  // Targets of 24 px, but for links in a text or a table.
  for (const one of all("button, input:not([type=hidden]), select, textarea, a.button, summary").filter(shown)) {
    const box = one.getBoundingClientRect();
    if (box.height < 22) faults.push(`${name(one)} is ${box.height} high`);
  }
  return [...new Set(faults)];
}
