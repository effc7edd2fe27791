"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  document.documentElement.classList.add("js");

  // Sorting: a click on a column's head sorts by it, another one the other way round. What has no value goes last.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const given = cell.dataset.value ?? cell.textContent.trim();
    if (given === "" || given === "–") return null;
    const number = Number.parseFloat(given.replace(/,/g, "").replace(/^[^\d+-]*(?=[+-]?\d)/, ""));
    return /^[+-]?\d/.test(given.replace(/,/g, "")) && !Number.isNaN(number) ? number : given.toLowerCase();
  };
  const compared = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});
  const sortBy = (table, column, descending) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : (descending ? -1 : 1) * compared(a, b)));
    body.append(...rows.map(([, row]) => row));
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      if (at === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  };
  for (const table of all("table")) {
    if (table.tBodies[0].rows.length < 5 || table.classList.contains("fixed")) continue;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sortBy(table, column, head.getAttribute("aria-sort") === "ascending"));
      head.append(button);
    });
  }

  // Searching and filtering: each tool hides what it does not match among the elements with data-item of its target.
  for (const tools of all(".tools")) {
    const items = all("[data-item]", document.getElementById(tools.dataset.for));
    const count = tools.querySelector("output");
    const apply = () => {
      const words = (tools.querySelector("input")?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
      const kind = tools.querySelector("select")?.value ?? "";
      let shown = 0;
      for (const item of items) {
        const text = item.dataset.item.toLowerCase();
        item.hidden = !(words.every((word) => text.includes(word)) && (kind === "" || item.dataset.kind === kind));
        shown += !item.hidden;
        const box = picture?.querySelector(`[data-layer="${item.dataset.row}"]`);
        if (item.dataset.row && box) box.classList.toggle("faded", item.hidden);
      }
      count.textContent = `${shown} of ${items.length}`;
    };
    const picture = document.querySelector("svg.layers");
    tools.addEventListener("input", apply);
    apply();
  }

  // A layer in the picture leads to its row, and the row to the layer.
  const marked = (number) => {
    for (const one of all(".marked")) one.classList.remove("marked");
    const both = all(`[data-layer="${number}"], [data-row="${number}"]`);
    for (const one of both) one.classList.add("marked");
    return both;
  };
  document.querySelector("svg.layers")?.addEventListener("click", (event) => {
    const box = event.target.closest("[data-layer]");
    if (box) marked(box.dataset.layer).find((one) => one.dataset.row)?.scrollIntoView({block: "center"});
  });
  for (const row of all("tr[data-row]"))
    row.addEventListener("click", () => marked(row.dataset.row).find((one) => one.dataset.layer)?.scrollIntoView({block: "nearest", inline: "nearest"}));

  // Copying: without a clipboard (a page from a file in some browsers), by selecting and the old command.
  for (const block of all("pre[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.textContent);
      } catch {
        const range = document.createRange();
        range.selectNodeContents(block);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    block.before(button);
  }

  // Paper folds nothing.
  const folded = all("details:not([open])");
  addEventListener("beforeprint", () => { for (const part of folded) part.open = true; });
  addEventListener("afterprint", () => { for (const part of folded) part.open = false; });
})();
