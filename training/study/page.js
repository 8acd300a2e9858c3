// SPDX-License-Identifier: Apache-2.0
// One voter's session: draws pairs, order and sides from one random number, asks, keeps the answers on
// the device after every pair, and hands them out at the end. Nothing is sent anywhere.
"use strict";
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const at = (id) => document.getElementById(id);
  const storeName = "study-" + study.study;
  const sides = ["A", "B"];
  const choices = [["A", "A"], ["tie", "Alike"], ["B", "B"]];
  let session = load() || begin();
  let shownAt = 0, current = 0, answers = {}, plays = { A: 0, B: 0 }, seen = { A: false, B: false };

  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(storeName));
      return kept && kept.study === study.study ? kept : null;
    } catch { return null; }
  }

  function save() {
    try { localStorage.setItem(storeName, JSON.stringify(session)); } catch { /* private mode */ }
  }

  function begin() {
    const asked = /[#&]seed=(\d+)/.exec(location.hash);
    const words = new Uint32Array(3);
    crypto.getRandomValues(words);
    const seed = asked ? Number(asked[1]) >>> 0 : words[0];
    return {
      version: 1, study: study.study, seed, voter: words[1].toString(16) + words[2].toString(16),
      order: draw(seed), answers: [], started: new Date().toISOString(), finished: null,
    };
  }

  // mulberry32: small, and the same order for the same seed in every browser.
  function random(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  function shuffle(list, next) {
    const copy = list.slice();
    for (let i = copy.length - 1; i > 0; i -= 1) {
      const j = Math.floor(next() * (i + 1));
      [copy[i], copy[j]] = [copy[j], copy[i]];
    }
    return copy;
  }

  // Groups give in turn, so that each compared system gets its share of every voter.
  function draw(seed) {
    const next = random(seed);
    const decks = shuffle(study.groups, next).map((group) => shuffle(group, next));
    let picked = [];
    for (let turn = 0; picked.length < study.votes; turn += 1) {
      const deck = decks[turn % decks.length];
      if (deck.length) picked.push(deck.pop());
    }
    picked = shuffle(picked, next);
    for (const check of shuffle(study.fixed, next).slice(0, study.checks)) {
      picked.splice(1 + Math.floor(next() * picked.length), 0, check);
    }
    return picked.map((pair) => ({ ...pair, left: next() < 0.5 ? "x" : "y" }));
  }

  function show(section) {
    for (const name of ["start", "trial", "end"]) at(name).hidden = name !== section;
    window.scrollTo(0, 0);
  }

  function ask() {
    const index = session.answers.length;
    if (index >= session.order.length) return finish();
    const pair = session.order[index];
    const videos = pair.left === "x" ? [pair.x, pair.y] : [pair.y, pair.x];
    sides.forEach((side, i) => {
      const video = at("video" + side);
      video.src = study.media[videos[i]];
      video.load();
      video.closest("figure").classList.remove("seen");
    });
    answers = {}; current = 0; plays = { A: 0, B: 0 }; seen = { A: false, B: false };
    shownAt = performance.now();
    at("questions").reset();
    at("progress").textContent = `Pair ${index + 1} of ${session.order.length}`;
    at("bar").value = index / session.order.length;
    at("hint").textContent = "Watch both videos to the end.";
    show("trial");
    update();
    at("playA").focus();
  }

  function play(side) {
    for (const other of sides) if (other !== side) at("video" + other).pause();
    const video = at("video" + side);
    video.currentTime = 0;
    plays[side] += 1;
    video.play().catch(() => { at("hint").textContent = `Please press Play ${side} again.`; });
  }

  function answer(index, choice) {
    const name = study.criteria[index].name;
    answers[name] = choice;
    at(`${name}-${choice}`).checked = true;
    current = Math.min(index + 1, study.criteria.length - 1);
    update();
  }

  function complete() {
    return seen.A && seen.B && study.criteria.every(({ name }) => answers[name]);
  }

  function update() {
    at("next").disabled = !complete();
    study.criteria.forEach(({ name }, i) => at("set-" + name).classList.toggle("now", i === current));
  }

  function goOn() {
    if (!complete()) {
      at("hint").textContent = seen.A && seen.B
        ? "Please answer all three questions." : "Please watch both videos to the end first.";
      return;
    }
    const pair = session.order[session.answers.length];
    const right = pair.left === "x" ? "y" : "x";
    const meaning = { A: pair.left, B: right, tie: "tie" };
    const given = {};
    for (const [name, choice] of Object.entries(answers)) given[name] = meaning[choice];
    session.answers.push({
      pair: pair.id, left: pair.left, choices: given,
      plays: { [pair.left]: plays.A, [right]: plays.B },
      seconds: Math.round((performance.now() - shownAt) / 100) / 10,
    });
    save();
    ask();
  }

  function finish() {
    session.finished = session.finished || new Date().toISOString();
    save();
    for (const side of sides) { at("video" + side).pause(); at("video" + side).removeAttribute("src"); }
    const { order, ...votes } = session;
    const text = JSON.stringify(votes, null, 1);
    const name = `votes-${session.study}-${session.voter}.json`;
    at("text").value = text;
    at("download").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    at("download").download = name;
    const file = typeof File === "function" ? new File([text], name, { type: "application/json" }) : null;
    if (file && navigator.canShare && navigator.canShare({ files: [file] })) {
      at("share").hidden = false;
      at("share").onclick = () => navigator.share({ files: [file] }).catch(() => {});
    }
    show("end");
    at("download").focus();
  }

  function buildQuestions() {
    study.criteria.forEach(({ name, question }, index) => {
      const set = document.createElement("fieldset");
      set.id = "set-" + name;
      const legend = document.createElement("legend");
      legend.textContent = question;
      const row = document.createElement("div");
      for (const [value, words] of choices) {
        const label = document.createElement("label");
        const input = document.createElement("input");
        Object.assign(input, { type: "radio", name, value, id: `${name}-${value}` });
        input.addEventListener("change", () => answer(index, value));
        label.append(input, words);
        row.append(label);
      }
      set.append(legend, row);
      at("questions").append(set);
    });
  }

  function onKey(event) {
    if (at("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      1: () => play("A"), 2: () => play("B"),
      ArrowLeft: () => answer(current, "A"), ArrowDown: () => answer(current, "tie"),
      ArrowRight: () => answer(current, "B"),
      ArrowUp: () => { current = Math.max(0, current - 1); update(); },
      // A focused Play button must not swallow the Enter that ends a pair.
      Enter: event.target instanceof HTMLButtonElement && !complete() ? null : goOn,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  buildQuestions();
  for (const side of sides) {
    at("play" + side).addEventListener("click", () => play(side));
    at("video" + side).addEventListener("click", () => play(side));
    at("video" + side).addEventListener("ended", () => {
      seen[side] = true;
      at("video" + side).closest("figure").classList.add("seen");
      if (seen.A && seen.B) at("hint").textContent = "";
      update();
    });
  }
  at("count").textContent = session.order.length;
  at("minutes").textContent = Math.max(1, Math.round(session.order.length * 0.75));
  at("begin").textContent = session.finished ? "Show my answers"
    : session.answers.length ? "Go on" : "Begin";
  at("again").addEventListener("click", () => { session = begin(); save(); ask(); });
  at("begin").addEventListener("click", ask);
  at("next").addEventListener("click", goOn);
  document.addEventListener("keydown", onKey);
})();
