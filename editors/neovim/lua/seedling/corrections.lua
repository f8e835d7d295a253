-- What was corrected between two frames of a canvas: text that stood there before (no mask did) and is another one now.
-- Frames hold runs of text, not tokens, so their characters are aligned: masks may become anything or nothing, visible
-- text stays, and what has to go in the cheapest alignment was corrected. Pure. Source: edit distance with wildcards.

local M = {}

---@class seedling.Cell One character of a canvas, or one mask.
---@field text string '' for a mask.
---@field state 'masked'|'draft'|'locked'|'committed'
---@field confidence number
---@field corrected? boolean Whether something else stood here in an earlier frame.

-- A canvas grows by masks (another block), seldom loses one, and text comes out of masks only.
local NEW_MASK, LOST_MASK, NEW_TEXT, CHANGED = 1, 3, 4, 4
-- Beyond this many pairs (two texts of 1,000 characters, 20 ms) nothing is compared.
local MAX_PAIRS = 1000000

local BOTH, OLD, NEW = 1, 2, 3

---@param cell seedling.Cell
local function is_mask(cell)
  return cell.state == 'masked'
end

---@param old seedling.Cell
---@param new seedling.Cell
local function is_same(old, new)
  return old.text == new.text and is_mask(old) == is_mask(new)
end

---@param old seedling.Cell
---@param new seedling.Cell
local function price_of_both(old, new)
  return (is_same(old, new) or (is_mask(old) and not is_mask(new))) and 0 or CHANGED
end

---@param new seedling.Cell
---@param old? seedling.Cell What stands before it: a mask may become several characters.
local function price_of_new(new, old)
  return is_mask(new) and NEW_MASK or (old and is_mask(old)) and 0 or NEW_TEXT
end

---@param old seedling.Cell[]
---@param new seedling.Cell[]
---@return integer first Behind what is the same at the beginning.
---@return integer last_old Before what is the same at the end.
---@return integer last_new
local function between(old, new)
  local first, last_old, last_new = 1, #old, #new
  while first <= last_old and first <= last_new and is_same(old[first], new[first]) do
    first = first + 1
  end
  while last_old >= first and last_new >= first and is_same(old[last_old], new[last_new]) do
    last_old, last_new = last_old - 1, last_new - 1
  end
  return first, last_old, last_new
end

--- The last move of the cheapest alignment for each pair of lengths, in one list of rows.
---@param old seedling.Cell[]
---@param new seedling.Cell[]
---@return integer[]
local function aligned(old, new)
  local moves, width = {}, #new + 1
  local above = { [0] = 0 }
  for j = 1, #new do
    above[j], moves[j] = above[j - 1] + price_of_new(new[j]), NEW
  end
  for i = 1, #old do
    local lost = is_mask(old[i]) and LOST_MASK or CHANGED
    local row = { [0] = above[0] + lost }
    moves[i * width] = OLD
    for j = 1, #new do
      local best, move = above[j - 1] + price_of_both(old[i], new[j]), BOTH
      local without, with = above[j] + lost, row[j - 1] + price_of_new(new[j], old[i])
      if without < best then
        best, move = without, OLD
      end
      if with < best then
        best, move = with, NEW
      end
      row[j], moves[i * width + j] = best, move
    end
    above = row
  end
  return moves
end

--- Marks what was changed in `new`, and counts the stretches of `old` that are no more.
---@param old seedling.Cell[]
---@param new seedling.Cell[]
---@return integer
local function mark(old, new)
  local moves, width = aligned(old, new), #new + 1
  local num_changed, last_changed = 0, nil
  local i, j = #old, #new
  while i > 0 or j > 0 do
    local move = moves[i * width + j]
    if move == NEW then
      new[j].corrected = i > 0 and is_mask(old[i]) and old[i].corrected or nil -- it came out of this mask
      j = j - 1
    else
      local is_change = not is_mask(old[i])
      if move == BOTH then
        is_change = is_change and not is_same(old[i], new[j])
        new[j].corrected = is_change or old[i].corrected
        j = j - 1
      end
      if is_change then
        num_changed = num_changed + (last_changed == i + 1 and 0 or 1)
        last_changed = i
      end
      i = i - 1
    end
  end
  return num_changed
end

--- What was changed inside a word is a correction of the whole word: the aligned letters alone would be an accident.
---@param cells seedling.Cell[]
local function spread(cells)
  local function joins(i, neighbour)
    local from, to = cells[neighbour], cells[i]
    return from.corrected and from.text:find('^[%w_\128-\255]') and to.text:find('^[%w_\128-\255]')
  end
  for i = 2, #cells do
    cells[i].corrected = cells[i].corrected or joins(i, i - 1) and true or nil
  end
  for i = #cells - 1, 1, -1 do
    cells[i].corrected = cells[i].corrected or joins(i, i + 1) and true or nil
  end
end

--- Tells which cells of `new` are corrections, those of earlier frames included.
---@param old seedling.Cell[] The frame before it.
---@param new seedling.Cell[] `corrected` is set in these.
---@return integer num_corrected Stretches that were corrected from one frame to the other.
function M.follow(old, new)
  local first, last_old, last_new = between(old, new)
  for i = 1, first - 1 do
    new[i].corrected = old[i].corrected
  end
  for i = 1, #old - last_old do
    new[last_new + i].corrected = old[last_old + i].corrected
  end
  local changed, by = vim.list_slice(old, first, last_old), vim.list_slice(new, first, last_new)
  local num_corrected = #changed * #by <= MAX_PAIRS and mark(changed, by) or 0
  spread(new)
  return num_corrected
end

return M
