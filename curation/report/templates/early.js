// Runs before the page is drawn, so that neither language nor theme flickers.
(function () {
  var root = document.documentElement, asked = new URLSearchParams(location.search).get("lang");
  function stored(key) { try { return localStorage.getItem(key); } catch (error) { return null; } }
  var lang = asked || stored("temper.lang") || ((navigator.language || "").toLowerCase().startsWith("zh") ? "zh" : "en");
  lang = lang === "zh" ? "zh" : "en";
  root.dataset.lang = lang;
  root.lang = lang === "zh" ? "zh-CN" : "en";
  var theme = stored("temper.theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
})();
