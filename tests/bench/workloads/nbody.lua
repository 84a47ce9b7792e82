-- SPDX-License-Identifier: Apache-2.0
-- Five bodies that attract each other: nbody.lua STEPS
local steps = tonumber(arg[1])
local bodies = {}
for i = 0, 4 do
  bodies[#bodies + 1] = {
    x = i * 3.5, y = i * 1.25 - 2, z = i % 2 * 0.75, vx = 0.1 * i, vy = -0.05 * i, vz = 0.02, mass = i == 0 and 40.0 or 0.02 * i,
  }
end

local function pull(a, b, step)
  local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
  local square = dx * dx + dy * dy + dz * dz + 0.01
  local force = step / (square * math.sqrt(square))
  a.vx, a.vy, a.vz = a.vx - dx * b.mass * force, a.vy - dy * b.mass * force, a.vz - dz * b.mass * force
  b.vx, b.vy, b.vz = b.vx + dx * a.mass * force, b.vy + dy * a.mass * force, b.vz + dz * a.mass * force
end

for _ = 1, steps do
  for i = 1, #bodies do
    for j = i + 1, #bodies do pull(bodies[i], bodies[j], 0.001) end
  end
  for _, body in ipairs(bodies) do
    body.x, body.y, body.z = body.x + 0.001 * body.vx, body.y + 0.001 * body.vy, body.z + 0.001 * body.vz
  end
end
for _, body in ipairs(bodies) do print(string.format("%.9f %.9f %.9f", body.x, body.y, body.z)) end
