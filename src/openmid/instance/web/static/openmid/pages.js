// The pages' own behaviour; everything works without it, by reloading.
"use strict";
{
  if (window.htmx) htmx.config.includeIndicatorStyles = false; // it would write a style into the page
  // An icon is a ligature of a word: nobody should hear that word read out.
  const quiet = (root) =>
    root.querySelectorAll(".material-symbols-outlined").forEach((icon) => icon.setAttribute("aria-hidden", "true"));

  // Copy: the text of the <pre> beside the button, or of the one in the frame beside it, which no script reaches into.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const framed = button.dataset.copy && (await (await fetch(button.dataset.copy)).text());
    const page = framed ? new DOMParser().parseFromString(framed, "text/html") : button.parentElement;
    const text = page.querySelector("pre").textContent;
    await navigator.clipboard.writeText(text);
    const icon = button.firstElementChild;
    icon.textContent = "check";
    setTimeout(() => (icon.textContent = "content_copy"), 1200);
  });

  // What nothing brings back is asked about first.
  document.addEventListener("click", (event) => {
    const asks = event.target.closest("[data-confirm]");
    if (asks && !confirm(asks.dataset.confirm)) event.preventDefault();
  });

  // A second click while what the first one sent is under way: one call of the partner, one record.
  const UNDER_WAY_MS = 10_000; // an instance that answers later than that may be asked again
  const sent = new Map();
  const twice = (form) => performance.now() - (sent.get(form) ?? -Infinity) < UNDER_WAY_MS || (sent.set(form, performance.now()), false);
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    if (twice(event.target)) event.preventDefault();
  });
  window.addEventListener("pageshow", () => sent.clear()); // back, by the browser's memory of the page

  // Pop-ups: what a second click would send, and answers that are none.
  const popUp = (event) => ["modal-content", "dialog-form"].includes(event.detail.target?.id);
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.matches("#dialog form") && twice(event.detail.elt)) event.preventDefault();
  });
  const unanswered = (event) => {
    if (!popUp(event)) return;
    sent.clear();
    const form = document.querySelector("#dialog-form");
    if (!form) return location.reload();
    form.querySelector("[role=alert]")?.remove();
    const said = Object.assign(document.createElement("p"), { className: "text-red-600 dark:text-red-500", textContent: "The instance gave no answer, and may have done it all the same: look before you try again." });
    said.setAttribute("role", "alert");
    form.append(said);
  };
  document.addEventListener("htmx:sendError", unanswered);
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!popUp(event)) return;
    if (event.detail.xhr.status >= 500) return unanswered(event);
    if (event.detail.serverResponse.includes('id="dialog"')) return sent.clear();
    event.detail.shouldSwap = false; // the session ended, or the record went: the page itself says so
    location.reload();
  });

  // EXECUTION DETAILS: ask twice a second until it has ended. The server sends escaped HTML; open parts stay open.
  const follow = (box) => {
    const ask = async () => {
      let answer;
      try {
        const response = await fetch(box.dataset.live, { headers: { Accept: "application/json" } });
        if (response.redirected || response.status === 403 || response.status === 404) return location.reload();
        answer = await response.json();
      } catch {
        return setTimeout(ask, 2000); // the instance restarts: it comes back
      }
      if (answer.html !== box.lastHtml) {
        const open = new Map([...box.querySelectorAll("details[id]")].map((part) => [part.id, part.open]));
        box.innerHTML = box.lastHtml = answer.html;
        quiet(box);
        box.querySelectorAll("details[id]").forEach((part) => {
          if (open.has(part.id)) part.open = open.get(part.id);
        });
      }
      if (answer.ended) box.removeAttribute("data-live");
      else setTimeout(ask, 500);
    };
    setTimeout(ask, 300);
  };

  // Rows of a name and a value: add, remove.
  const pairs = (box) => {
    const add = box.querySelector("[data-add-pair]");
    add.hidden = false;
    add.addEventListener("click", () => {
      const rows = box.querySelectorAll("[data-pair]");
      const row = rows[rows.length - 1].cloneNode(true);
      row.querySelectorAll("input").forEach((input) => {
        input.value = "";
        input.removeAttribute("id");
      });
      row.querySelectorAll("select").forEach((choice) => (choice.selectedIndex = 0));
      add.before(row);
      row.querySelector("input").focus();
    });
    box.addEventListener("click", (event) => {
      const row = event.target.closest("[data-remove-pair]")?.closest("[data-pair]");
      if (!row) return; // the last one stays, empty
      if (box.querySelectorAll("[data-pair]").length > 1) row.remove();
      else row.querySelectorAll("input").forEach((input) => (input.value = ""));
    });
  };

  // The REST step: what applies to the chosen kind of connection, and the alias's Base URL.
  const restStep = (form) => {
    const kind = form.elements.namedItem("connection");
    const alias = form.elements.namedItem("connection_alias");
    const baseUrl = form.querySelector("#base_url");
    const address = form.closest("[data-base-url]").dataset.baseUrl;
    const show = () =>
      form.querySelectorAll("[data-when]").forEach((part) => (part.hidden = part.dataset.when !== kind.value));
    const fill = async () => {
      const asked = alias.value;
      const response = await fetch(`${address}?alias=${encodeURIComponent(asked)}`);
      if (response.ok && asked === alias.value) baseUrl.value = (await response.json()).base_url;
    };
    kind.addEventListener("change", show);
    alias.addEventListener("change", fill);
    show();
    if (alias.value && !baseUrl.value) fill();
  };

  // HTTP(s) Connection: the Connection URL while its parts are typed, as `HttpConnection.build_url` will save it.
  const connectionUrl = (form) => {
    const url = form.elements.namedItem("connection_url");
    if (!url) return; // whoever may only look
    const typed = (name) => (form.elements.namedItem(name)?.value ?? "").trim();
    const on = (name) => form.elements.namedItem(name)?.checked ?? false;
    const ports = {}; // by protocol: its Default Port, once the instance has said it
    const build = () => {
      if (!on("url_builder")) return;
      const protocol = on("mutual_auth") ? typed("mid_protocol_profile") : "https";
      const bare = typed("host").replace(/^\[|\]$/g, "");
      if (!bare || !protocol) return (url.value = "");
      const usual = on("mutual_auth") ? ports[protocol] : 443;
      const port = typed("port") && Number(typed("port")) !== usual ? `:${Number(typed("port"))}` : "";
      const path = typed("base_path").replace(/^\/+|\/+$/g, "");
      url.value = `${protocol}://${bare.includes(":") ? `[${bare}]` : bare}${port}${path && `/${path}`}`;
    };
    const ask = async () => {
      const protocol = typed("mid_protocol_profile");
      if (!protocol || protocol in ports) return;
      const response = await fetch(`${url.dataset.defaultPort}?protocol=${encodeURIComponent(protocol)}`);
      if (response.ok) ports[protocol] = (await response.json()).default_port;
      build();
    };
    form.addEventListener("input", build);
    form.addEventListener("change", () => (build(), ask()));
    for (const name of ["dismissRelatedLookupPopup", "dismissAddRelatedObjectPopup"]) {
      const dismiss = window[name]; // what a pop-up chose tells nobody
      window[name] = (...chosen) => {
        dismiss(...chosen);
        form.dispatchEvent(new Event("change"));
      };
    }
    ask();
  };

  // unfold's menus in the head of a page are links that lead nowhere: to a keyboard they are buttons.
  const menus = () =>
    document.querySelectorAll("#header-inner li > a:not([href])").forEach((menu) => {
      menu.setAttribute("role", "button");
      menu.tabIndex = 0;
      menu.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          menu.click();
        }
      });
    });

  // All: the menu, with a box that leaves what matches. Enter opens the first, the arrows walk.
  const all = () => {
    const menu = document.querySelector("#nav-sidebar-apps");
    if (!menu) return;
    const box = document.createElement("div");
    box.className = "om-menu-filter";
    const label = document.createElement("label");
    label.htmlFor = "menu-filter";
    label.textContent = "All";
    const filter = Object.assign(document.createElement("input"), { type: "search", id: "menu-filter", placeholder: "Filter", className: "om-input", autocomplete: "off" });
    box.append(label, filter);
    menu.before(box);
    const links = () => [...menu.querySelectorAll("li:not(.om-gone) a")].filter((link) => !link.closest("div.om-gone"));
    filter.addEventListener("input", () => {
      const asked = filter.value.trim().toLowerCase();
      menu.querySelectorAll("ol").forEach((list) => {
        const group = list.parentElement;
        const whole = group.querySelector("h2")?.textContent.toLowerCase().includes(asked);
        const items = [...list.querySelectorAll("li")];
        items.forEach((item) => item.classList.toggle("om-gone", !whole && !item.textContent.toLowerCase().includes(asked)));
        group.classList.toggle("om-gone", items.every((item) => item.classList.contains("om-gone")));
      });
    });
    filter.addEventListener("keydown", (event) => {
      if (event.key === "Enter") links()[0]?.click();
      else if (event.key === "Escape") (filter.value = ""), filter.dispatchEvent(new Event("input"));
      else if (event.key === "ArrowDown") links()[0]?.focus();
      else return;
      event.preventDefault();
    });
    menu.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const at = links().indexOf(document.activeElement) + by;
      (at < 0 ? filter : links()[at])?.focus();
    });
  };

  document.addEventListener("htmx:afterSwap", (event) => quiet(event.target));
  document.addEventListener("DOMContentLoaded", () => {
    quiet(document);
    menus();
    all();
    document.querySelectorAll("[data-live]").forEach(follow);
    document.querySelectorAll("[data-pairs]").forEach(pairs);
    document.querySelectorAll("form[data-rest-step]").forEach(restStep);
    document.querySelectorAll("#httpconnection_form").forEach(connectionUrl);
  });
}
