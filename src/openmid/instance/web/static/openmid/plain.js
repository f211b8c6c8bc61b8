// What Alpine does on unfold's pages, for those without it: the theme, the menu, dialogs, filters. It keeps unfold's own
// settings, and finds unfold's parts by the attributes that Alpine would read. It evaluates none of them.
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

  const all = (attribute, value) => document.querySelectorAll(`[${CSS.escape(attribute)}="${value}"]`);
  const asButton = (each) => {
    each.setAttribute("role", "button");
    each.tabIndex = 0;
    each.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      each.click();
    });
  };

  // A pop-up: htmx has fetched what the button names. The browser keeps the focus inside, and Escape closes it.
  document.addEventListener("htmx:afterSettle", (event) => {
    const box = document.querySelector("#plain-dialog");
    if (event.target.id !== "modal-content" || box.open) return;
    event.target.querySelector("h1")?.setAttribute("id", "dialog-title");
    const close = event.target.querySelector("#dialog > .absolute");
    close.setAttribute("aria-label", "Close");
    asButton(close);
    box.showModal();
    (box.querySelector("input:not([type=hidden]), select, textarea") ?? box.querySelector("[type=submit]")).focus();
  });
  document.addEventListener("click", (event) => {
    const box = document.querySelector("#plain-dialog");
    const closes = event.target.closest(`[${CSS.escape("x-on:click")}="openModal = false"]`);
    if (closes) event.preventDefault();
    if (closes || event.target === box) box.close();
  });

  // The sheet of filters beside a list.
  const filters = () => {
    const sheet = document.querySelector("#changelist-filter");
    const open = (on) => sheet.classList.toggle("om-open", on);
    all("x-on:click", "filterOpen = true").forEach((each) => {
      asButton(each);
      each.addEventListener("click", () => open(true));
    });
    all("x-on:click", "filterOpen = false").forEach((each) => each.addEventListener("click", () => open(false)));
    document.addEventListener("keydown", (event) => sheet && event.key === "Escape" && open(false));
  };

  // The buttons of a page's head, folded on a narrow screen.
  const folded = (toggle) => {
    const list = toggle.parentElement.querySelector("ul");
    toggle.setAttribute("aria-label", "Actions");
    toggle.addEventListener("click", (event) => {
      event.preventDefault();
      list.classList.toggle("max-lg:flex");
    });
  };

  // A field that shows while another has one value: unfold writes `field === 'value'`.
  const conditional = (part) => {
    const [, name, value] = part.getAttribute("x-show").match(/^(\w+) === '(\w*)'$/) ?? [];
    const field = name && document.querySelector(`[name="${name}"]`);
    if (!field) return;
    const show = () => part.classList.toggle("om-gone", field.value !== value);
    field.addEventListener("change", show);
    show();
  };

  const password = (eye) => {
    eye.textContent = "visibility";
    eye.addEventListener("click", () => {
      const input = eye.parentElement.querySelector("input");
      input.type = input.type === "password" ? "text" : "password";
      eye.textContent = input.type === "password" ? "visibility" : "visibility_off";
    });
  };

  const search = (box) =>
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
      event.preventDefault();
      box.focus();
    });

  document.addEventListener("DOMContentLoaded", () => {
    paint();
    filters();
    all("x-on:click", "showActions = !showActions").forEach(folded);
    all("x-on:click", "showPassword = !showPassword").forEach(password);
    document.querySelectorAll("[x-show]").forEach(conditional);
    document.querySelectorAll("#searchbar").forEach(search);
    document.querySelectorAll("[data-theme]").forEach((each) =>
      each.addEventListener("click", () => {
        localStorage.setItem("adminTheme", JSON.stringify(each.dataset.theme));
        paint();
      }),
    );
    const sidebar = document.querySelector("#plain-sidebar");
    if (!sidebar) return; // a pop-up has no menu
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
