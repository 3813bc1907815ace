// Not a module: browsers load modules only from a web server, so a page that is opened as a file has none.
if (location.protocol === "file:") {
  addEventListener("DOMContentLoaded", () => {
    document.querySelector("#loading").remove();
    const failure = document.querySelector("#failure");
    failure.textContent =
      "This page was opened as a file, and browsers let such a page load none of its parts. Serve its folder: " +
      "run `make web` in the project, or `python3 -m http.server` in this folder, and open http://127.0.0.1:8000.";
    failure.hidden = false;
  });
}
