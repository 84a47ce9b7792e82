-- SPDX-License-Identifier: Apache-2.0
-- Strings that are put together, searched, replaced and kept by key: strings.lua COUNT
local count = tonumber(arg[1])
local parts, seen = {}, {}
local state = 12345
for i = 1, count do
  state = (state * 1103515245 + 12345) % 2147483648
  local word = string.char(97 + state % 7, 97 + state // 7 % 11, 97 + state // 77 % 13)
  seen[word] = (seen[word] or 0) + 1
  parts[#parts + 1] = word .. (i % 9 == 0 and "\n" or " ")
  if #parts == 4096 then
    local text = table.concat(parts)
    local _, lines = text:gsub("\n", "")
    local swapped = text:gsub("(%a)(%a)(%a)", "%3%1%2"):upper()
    for found in swapped:gmatch("A%u+") do seen[found] = (seen[found] or 0) + lines end
    parts = { text:sub(-3), string.format("%05d ", #swapped) }
  end
end
local keys = {}
for key in pairs(seen) do keys[#keys + 1] = key end
table.sort(keys)
local sum = 0
for i, key in ipairs(keys) do sum = (sum * 31 + seen[key] * i) % 1000000007 end
print(#keys, sum, #table.concat(parts))
