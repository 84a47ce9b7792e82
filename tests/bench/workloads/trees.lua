-- SPDX-License-Identifier: Apache-2.0
-- Binary trees that are made, looked through and thrown away: trees.lua ROUNDS
local rounds = tonumber(arg[1])

local function grow(depth, value)
  if depth == 0 then return { value = value } end
  return { left = grow(depth - 1, 2 * value), right = grow(depth - 1, 2 * value + 1), value = value }
end

local function weigh(tree)
  if not tree.left then return tree.value end
  return weigh(tree.left) - weigh(tree.right) + tree.value
end

local kept = grow(12, 1)
local sum = 0
for round = 1, rounds do
  for depth = 4, 12, 4 do
    for i = 1, 1 << (12 - depth) do sum = sum + weigh(grow(depth, round + i)) end
  end
end
print(sum, weigh(kept))
