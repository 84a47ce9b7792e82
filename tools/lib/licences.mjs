// SPDX-License-Identifier: Apache-2.0
// The licences page of dist/: what is in it that others have made, in exactly which version, under which terms, and where
// its source is. npm packages come from what the bundler really took in; the guest's parts from the licences.json of
// kernel/licences.sh; the core's libraries from where the build found them.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildDir, root } from './project.mjs';

const escape = (text) => String(text).replace(/[&<>"]/g, (each) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[each]);
const readText = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);

/** The packages below node_modules whose files are in the bundles. */
function bundledPackages(metafiles) {
  const names = new Set();
  for (const metafile of metafiles) {
    for (const output of Object.values(metafile.outputs)) {
      for (const input of Object.keys(output.inputs)) {
        const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(input);
        if (match) names.add(match[1]);
      }
    }
  }
  return [...names].sort().map((name) => {
    const folder = join(root, 'node_modules', name);
    const { version, license, repository, homepage } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((each) => /^(licen[cs]e|copying)/i.test(each));
    if (!file) throw new Error(`${name} is bundled but has no licence file`);
    return {
      name, version, licence: license, text: readText(join(folder, file)),
      source: (typeof repository === 'string' ? repository : repository?.url)?.replace(/^git\+/, '') ?? homepage,
    };
  });
}

function debianVersion(name) {
  try {
    return execFileSync('dpkg-query', ['-W', '-f', '${Version}', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return undefined;
  }
}

/** What Emscripten links into the core, and the headers that the core includes. */
function coreLibraries() {
  const cache = readText(join(buildDir, 'wasm', 'CMakeCache.txt')) ?? '';
  const toolchain = /^CMAKE_TOOLCHAIN_FILE:\w+=(.*)$/m.exec(cache)?.[1];
  const emscripten = toolchain ? toolchain.replace(/\/cmake\/Modules\/Platform\/.*$/, '') : '';
  const version = readText(join(emscripten, 'emscripten-version.txt'))?.replace(/["\s]/g, '') ?? '';
  const own = (name) => readFileSync(join(root, 'tools/licences', name), 'utf8');
  const json = '/usr/share/doc/nlohmann-json3-dev/copyright';
  return [
    { name: 'Emscripten (system libraries)', version, licence: 'MIT or NCSA', text: own('emscripten.txt'), source: 'https://github.com/emscripten-core/emscripten' },
    { name: 'musl (C library, as in Emscripten)', version, licence: 'MIT', text: readText(join(emscripten, 'system/lib/libc/musl/COPYRIGHT')), source: 'https://musl.libc.org' },
    {
      name: 'LLVM libc++, libc++abi and compiler-rt (as in Emscripten)', version, licence: 'Apache-2.0 WITH LLVM-exception',
      text: `${own('llvm-exception.txt')}\n${readFileSync(join(root, 'LICENSE'), 'utf8')}`, source: 'https://github.com/llvm/llvm-project',
    },
    { name: 'JSON for Modern C++ (Debian package nlohmann-json3-dev)', version: debianVersion('nlohmann-json3-dev') ?? '', licence: 'MIT', text: readText(json), source: 'https://github.com/nlohmann/json' },
  ];
}

const debianSource = ({ distribution, package: name, version }) => `${distribution} source package ${name} ${version}`;

/** The components of a licences.json (kernel/licences.sh says what is in it), with the texts that it names. */
function guestParts(folder) {
  const { components } = JSON.parse(readFileSync(join(folder, 'licences.json'), 'utf8'));
  const read = (path) => readFileSync(join(folder, path), 'utf8');
  return components.map((each) => ({
    name: each.name, version: each.version, licence: each.licence,
    source: each.source && debianSource(each.source),
    note: [
      each.description,
      each.compiler && `built with ${each.compiler}`,
      each.builtUsing?.length && `contains ${each.builtUsing.map(debianSource).join(', ')}`,
    ].filter(Boolean).join('; '),
    text: each.texts.map(read).join('\n\n'),
    configuration: each.configuration && read(each.configuration.path),
  }));
}

function entry({ name, version, licence, source, note, text, configuration }) {
  const link = /^https?:/.test(source ?? '') ? `<a href="${escape(source)}">${escape(source)}</a>` : escape(source ?? '');
  const folded = (title, content) => (content ? `<details><summary>${title}</summary><pre>${escape(content.trim())}</pre></details>` : '');
  return `<section><h3>${escape(name)} <span class="quiet">${escape(version ?? '')}</span></h3>
<p>${escape(licence ?? '')}${source ? ` · Source: ${link}` : ''}</p>${note ? `\n<p class="quiet">${escape(note)}</p>` : ''}
${folded('Licence', text)}${folded('Configuration', configuration)}</section>`;
}

export function licencesPage({ metafiles, guestLicences, csp, icon, style }) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const own = { name: 'Hartwood', version, licence: 'Apache-2.0', text: readFileSync(join(root, 'LICENSE'), 'utf8') };
  const parts = [
    ['This page and the emulator', [own]],
    ['Libraries in the emulator', coreLibraries()],
    ['Libraries in the page', bundledPackages(metafiles)],
    ['What runs in the machine', guestParts(guestLicences)],
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${csp}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Licences · Hartwood</title>
<link rel="icon" href="${icon}" type="image/svg+xml">
<link rel="stylesheet" href="${style}">
</head>
<body>
<main>
<p><a href="./">Hartwood</a></p>
<h1>Licences and sources</h1>
<p class="quiet">Everything in this folder that others have made, with its exact version.</p>
${parts.map(([title, entries]) => `<h2>${title}</h2>\n${entries.map(entry).join('\n')}`).join('\n')}
</main>
</body>
</html>
`;
}
