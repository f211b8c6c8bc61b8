// Workflow Studio's editor: data pills, the order of steps, what a request type shows, operations of a WSDL.
"use strict";
const wsdlFile = document.querySelector("#wsdl_file");
if (wsdlFile) wsdlFile.hasChangeListener = true; // unfold looks for a text field beside each file field
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("#step-form");

  // Request type: only the fields that it has.
  const kind = form?.elements.namedItem("body_kind");
  if (kind) {
    const show = () =>
      form.querySelectorAll("[data-body]").forEach((part) => {
        part.hidden = !part.dataset.body.split(" ").includes(kind.value);
      });
    kind.addEventListener("change", show);
    show();
  }

  // Retries: how, once there are any.
  const retries = form?.elements.namedItem("retry_count");
  if (retries) {
    const policy = form.querySelector("[data-retries]");
    const show = () => (policy.hidden = !(Number(retries.value) > 0) && !policy.querySelector(".errors"));
    retries.addEventListener("input", show);
    show();
  }

  // A pill goes where the cursor was last; dragged, the browser drops its text.
  let last = null;
  form?.addEventListener("focusin", (event) => {
    if (event.target.matches("input[type=text]:not([readonly]), textarea")) last = event.target;
  });
  document.querySelectorAll("[data-pill]").forEach((button) => {
    button.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/plain", button.dataset.pill));
    button.addEventListener("click", () => {
      const field = last ?? form?.elements.namedItem("body");
      if (!field) return;
      field.focus();
      field.setRangeText(button.dataset.pill, field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
  });

  // Steps in another order, by drag; the arrows do the same without.
  const order = document.querySelector("[data-order]");
  let dragged = null;
  order?.addEventListener("dragstart", (event) => {
    dragged = event.target.closest("[data-step]");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", "");
    dragged.classList.add("om-dragged");
  });
  order?.addEventListener("dragover", (event) => {
    const over = event.target.closest("[data-step]");
    if (!dragged || !over) return;
    event.preventDefault();
    const middle = over.getBoundingClientRect().top + over.offsetHeight / 2;
    if (over !== dragged) over[event.clientY > middle ? "after" : "before"](dragged);
  });
  order?.addEventListener("drop", (event) => event.preventDefault());
  order?.addEventListener("dragend", () => {
    dragged?.classList.remove("om-dragged");
    const before = order.dataset.was;
    const now = [...order.querySelectorAll("[data-step]")].map((row) => row.dataset.step).join(",");
    dragged = null;
    if (now === before) return;
    const field = order.elements.namedItem("_order");
    field.disabled = false;
    field.value = now;
    order.submit();
  });
  if (order) order.dataset.was = [...order.querySelectorAll("[data-step]")].map((row) => row.dataset.step).join(",");

  // WSDL: read at the instance, not kept.
  const box = document.querySelector("[data-wsdl-box]");
  if (!box) return;
  const [file, choice] = [box.querySelector("input"), box.querySelector("select")];
  const said = document.querySelector("[data-wsdl-said]");
  let operations = [];
  const post = async (address, fields) => {
    const sent = new FormData();
    fields.forEach(([name, value]) => sent.append(name, value));
    sent.append("csrfmiddlewaretoken", form.elements.namedItem("csrfmiddlewaretoken").value);
    const response = await fetch(address, { method: "POST", body: sent }).catch(() => null);
    if (!response) return { error: "The instance gave no answer: try again." };
    if (response.redirected) return { error: "The session has ended: reload the page to sign in." };
    return response.json().catch(() => ({ error: `The instance answered ${response.status}.` }));
  };
  const offer = (answer) => {
    operations = answer.operations ?? [];
    said.textContent = answer.error ?? `${operations.length} operation${operations.length === 1 ? "" : "s"}.`;
    choice.disabled = !operations.length;
    choice.replaceChildren(new Option(operations.length ? "Select an operation" : "None", ""));
    operations.forEach((each, at) => choice.add(new Option(`${each.name} (${each.port}, SOAP ${each.version})`, at)));
  };
  file.addEventListener("change", async () => {
    offer(await post(form.closest("[data-wsdl]").dataset.wsdl, [...file.files].map((each) => ["documents", each])));
  });

  // The same, fetched by the MID Server of the alias: each document is an execution, which is asked for until it has ended.
  const fetching = document.querySelector("[data-wsdl-fetch]");
  const [address, button] = [fetching.querySelector("input"), fetching.querySelector("button")];
  const from = async () => {
    let answer = await post(fetching.dataset.wsdlFetch, [["alias", form.elements.namedItem("connection_alias").value], ["address", address.value]]);
    while (answer.executions && !answer.operations && !answer.error) {
      said.textContent = `The MID Server fetches ${answer.executions.length === 1 ? "it" : `${answer.executions.length} documents`}…`;
      await new Promise((done) => setTimeout(done, 300));
      answer = await post(fetching.dataset.wsdlFetched, answer.executions.map((each) => ["executions", each]));
    }
    return answer;
  };
  button.addEventListener("click", async () => {
    button.disabled = true;
    offer(await from());
    button.disabled = false;
  });
  address.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it would save the step
    button.click();
  });

  choice.addEventListener("change", () => {
    const chosen = operations[choice.value];
    if (!chosen) return;
    form.elements.namedItem("soap_version").value = chosen.version;
    form.elements.namedItem("soap_action").value = chosen.action;
    form.elements.namedItem("body").value = chosen.envelope;
    said.textContent = `Its endpoint is ${chosen.address || "not said"}. Replace each ? by a value or a data pill.`;
  });
});
