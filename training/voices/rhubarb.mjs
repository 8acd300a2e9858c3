// SPDX-License-Identifier: Apache-2.0
// Reads JSON lines {"pcm": file of 16-bit 16 kHz mono, "text": dialogue or ""}, writes the mouth
// cues of rhubarb-lip-sync-wasm as JSON lines. Run in the folder that holds node_modules.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const inFolder = createRequire(process.cwd() + "/");
const { Rhubarb } = await import(pathToFileURL(inFolder.resolve("rhubarb-lip-sync-wasm")));
for (const line of readFileSync(0, "utf8").trim().split("\n")) {
  const { pcm, text } = JSON.parse(line);
  const { mouthCues } = await Rhubarb.getLipSync(readFileSync(pcm), { dialogText: text });
  process.stdout.write(JSON.stringify(mouthCues) + "\n");
}
