"use strict";
// Buttons that copy: lines of commands, answers as markdown, code, links to turns. Without scripts there are none.
const copying = (() => {
  const said = document.createElement("p"); // what a screen reader is told
  said.className = "said";
  said.setAttribute("role", "status");
  document.body.append(said);

  // By the clipboard if the browser gives it to this page, else by a selection, as in an older browser or another frame.
  async function put(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const held = document.createElement("pre");
      held.className = "said";
      held.textContent = text;
      document.body.append(held);
      getSelection().selectAllChildren(held);
      const done = document.execCommand("copy");
      getSelection().removeAllRanges();
      held.remove();
      return done;
    }
  }

  function button(words, label, text) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "copy";
    made.textContent = words;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", async () => {
      const done = await put(text());
      made.textContent = done ? "copied" : "not copied";
      said.textContent = "";
      setTimeout(() => { said.textContent = made.textContent; }, 50); // a change, also if it is said again
      setTimeout(() => { made.textContent = words; }, 1500);
    });
    return made;
  }

  // -- what was rendered from markdown, as markdown again

  const fenced = (text, least) => {
    const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map((found) => found[0].length));
    return "`".repeat(longest >= least ? longest + 1 : least);
  };
  const wrapped = { EM: "*", STRONG: "**", S: "~~" };

  function inline(node) {
    if (node.nodeType === 3) return node.data;
    if (node.nodeType !== 1 || node.matches("button")) return "";
    const inner = [...node.childNodes].map(inline).join("");
    if (node.tagName === "BR") return "  ";
    if (node.tagName === "CODE") {
      const fence = fenced(node.textContent, 1);
      const pad = /^`|`$/.test(node.textContent) ? " " : "";
      return fence + pad + node.textContent + pad + fence;
    }
    if (node.tagName === "A" && node.href && !node.matches(".place")) return `[${inner}](${node.getAttribute("href")})`;
    const sign = wrapped[node.tagName] ?? "";
    return sign + inner + sign;
  }

  const below = (text, first, rest) => first + text.replaceAll("\n", `\n${rest}`).replaceAll(/\n[ ]+(?=\n|$)/g, "\n");

  function list(node) {
    const items = [...node.children].filter((item) => item.tagName === "LI").map((item, at) => {
      const mark = node.tagName === "OL" ? `${node.start + at}. ` : "- ";
      return below(blocks(item), mark, " ".repeat(mark.length));
    });
    return items.join(node.querySelector(":scope > li > p") ? "\n\n" : "\n");
  }

  function table(node) {
    const rows = [...node.rows].map((row) => [...row.cells].map((cell) => inline(cell).replaceAll("|", "\\|")));
    rows.splice(1, 0, [...node.rows[0].cells].map(() => "---"));
    return rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  }

  function block(node) {
    if (/^H[4-6]$/.test(node.tagName)) return `${"#".repeat(Number(node.tagName[1]) - 3)} ${inline(node)}`;
    if (node.matches("ul, ol")) return list(node);
    if (node.matches("blockquote")) return below(blocks(node), "> ", "> ");
    if (node.matches("hr")) return "---";
    if (node.matches("pre")) return node.textContent;
    if (node.matches(".table")) return table(node.querySelector("table"));
    if (node.matches("figure")) {
      const text = node.querySelector("code").textContent.replace(/\n$/, "");
      const fence = fenced(text, 3);
      return `${fence}${node.querySelector(".lang")?.textContent ?? ""}\n${text}\n${fence}`;
    }
    return inline(node);
  }

  const BLOCKS = "p, h4, h5, h6, ul, ol, blockquote, hr, pre, .table, figure";
  function blocks(node) {
    const found = [];
    let words = "";
    for (const child of node.childNodes) {
      const isBlock = child.nodeType === 1 && child.matches(BLOCKS);
      if (!isBlock) words += inline(child);
      if ((isBlock || child === node.lastChild) && words.trim()) found.push(words.trim());
      if (isBlock) found.push(block(child));
      if (isBlock) words = "";
    }
    return found.join(node.tagName === "LI" && !node.querySelector(":scope > p") ? "\n" : "\n\n");
  }

  function dress(part) {
    const every = (selector) => [...part.querySelectorAll(selector)];
    for (const line of every(".copyable")) {
      if (line.nextElementSibling?.matches(".copy")) continue;
      line.after(button("copy", `Copy: ${line.textContent}`, () => line.textContent));
    }
    for (const code of every(".prose figure.code")) {
      if (code.querySelector(".copy")) continue;
      code.append(button("copy", "Copy the code", () => code.querySelector("code").textContent));
    }
    const turns = part.matches?.(".turn") ? [part] : every(".turn");
    for (const turn of turns) {
      const prose = turn.querySelector(".response > .prose");
      const speaker = turn.querySelector(".response > .speaker");
      if (prose && speaker && !speaker.querySelector(".copy")) {
        speaker.append(button("copy", "Copy the answer", () => `${blocks(prose)}\n`));
      }
      const facts = turn.querySelector(".facts");
      if (facts && !facts.querySelector(".copy")) {
        const number = turn.querySelector(".number");
        const label = `Copy link to turn ${number.textContent}`;
        facts.append(button("copy link", label, () => new URL(number.getAttribute("href"), location.href).href));
      }
    }
  }

  return { dress, markdown: blocks };
})();
