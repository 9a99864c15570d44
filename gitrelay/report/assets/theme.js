"use strict";
// Before anything is painted: the theme that was chosen here before. Storage may be forbidden, as from file://.
try {
  const chosen = localStorage.getItem("gitrelay-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* no storage: the system's own theme */ }
