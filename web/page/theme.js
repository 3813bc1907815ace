// Not a module: it runs before the first paint. Light or dark as the system says, until the button says otherwise.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage may be forbidden
    }
  };
  const apply = (theme) => (root.dataset.theme = theme ?? (system.matches ? "dark" : "light"));
  apply(stored());
  system.addEventListener("change", () => apply(stored()));
  addEventListener("DOMContentLoaded", () => {
    document.querySelector("#theme").addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      apply(theme);
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // It holds until the page is left.
      }
    });
  });
})();
