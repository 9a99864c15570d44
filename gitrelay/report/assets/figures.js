"use strict";
// The figures' page: back to the sessions by key.
page.keys.set("u", () => { location.href = document.querySelector(".bar nav a").href; });
