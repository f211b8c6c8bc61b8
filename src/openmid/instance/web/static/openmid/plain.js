// What Alpine does on unfold's pages, for those without it: the theme, the menu. It keeps unfold's own settings.
"use strict";
{
  const stored = (key) => {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const theme = stored("adminTheme") ?? "auto";
    document.documentElement.classList.toggle("dark", theme === "dark" || (theme === "auto" && dark.matches));
    document.querySelectorAll("[data-theme]").forEach((each) => each.setAttribute("aria-pressed", each.dataset.theme === theme));
  };
  paint(); // before anything is drawn
  dark.addEventListener("change", paint);

  document.addEventListener("DOMContentLoaded", () => {
    paint();
    document.querySelectorAll("[data-theme]").forEach((each) =>
      each.addEventListener("click", () => {
        localStorage.setItem("adminTheme", JSON.stringify(each.dataset.theme));
        paint();
      }),
    );
    const sidebar = document.querySelector("#plain-sidebar");
    const wide = window.matchMedia("(min-width: 80rem)");
    sidebar.classList.toggle("xl:hidden!", stored("sidebarDesktopOpen") === 0);
    const menu = document.querySelector("#plain-menu");
    const say = () => menu.setAttribute("aria-expanded", getComputedStyle(sidebar).display !== "none");
    menu.addEventListener("click", () => {
      if (wide.matches) localStorage.setItem("sidebarDesktopOpen", sidebar.classList.toggle("xl:hidden!") ? "0" : "1");
      else sidebar.classList.toggle("block!");
      say();
    });
    document.querySelector("#main").addEventListener("click", (event) => {
      if (!event.target.closest("#plain-menu")) sidebar.classList.remove("block!");
    });
    say();
  });
}
