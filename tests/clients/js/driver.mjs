// Makes calls of @huggingface/hub that a test names, and prints what came of them, as driver.py does:
//
//     node driver.mjs FOLDER_WITH_PACKAGES ENDPOINT '[["download", {"repo": "a/b", "path": "x"}], …]'
//
// The last line is a JSON list: one entry per call, then the origins that were asked.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";

const [packages, hubUrl, calls] = process.argv.slice(2);
const { downloadFile, listFiles } = createRequire(`${packages}/`)("@huggingface/hub");

const origins = new Set();

function recordingFetch(input, init) {
	origins.add(new URL(input.url ?? input).origin);
	return fetch(input, init);
}

const common = { hubUrl, fetch: recordingFetch };

const CALLS = {
	async download({ slice, ...wish }) {
		const whole = await downloadFile({ ...common, ...wish });
		const blob = slice ? whole.slice(...slice) : whole;
		const hash = createHash("sha256");
		let size = 0;
		for await (const piece of blob.stream()) {
			hash.update(piece);
			size += piece.byteLength;
		}
		return { xet: whole.constructor.name === "XetBlob", size, sha256: hash.digest("hex") };
	},
	async list(wish) {
		const files = {};
		for await (const entry of listFiles({ ...common, recursive: true, ...wish })) {
			if (entry.type === "file") {
				files[entry.path] = entry.xetHash ?? null;
			}
		}
		return files;
	},
};

const answers = [];
for (const [name, wish] of JSON.parse(calls)) {
	try {
		answers.push(await CALLS[name](wish));
	} catch (error) {
		answers.push({ error: `${error.stack}` });
	}
}
console.log(JSON.stringify([...answers, [...origins]]));
