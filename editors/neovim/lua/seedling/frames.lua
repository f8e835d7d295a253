-- The canvas after a step, as the server sends it (the notification seedling/canvas): its cells, what is drawn of them,
-- and what is said of it in words. Pure. Leaves out: what was corrected (corrections.lua), windows (denoise.lua).

local text = require('seedling.text')

local M = {}

M.MASK = '░'

---@class seedling.Piece A run of a canvas in one state.
---@field state 'masked'|'draft'|'locked'|'committed'
---@field text string
---@field numTokens integer
---@field confidence number

---@class seedling.Frame
---@field token string|integer
---@field step integer
---@field elapsedMs number
---@field confidence number
---@field pieces seedling.Piece[]

---@class seedling.Ending What the server answers when a canvas is finished.
---@field steps? integer
---@field forwards? integer
---@field elapsedMs? number

-- The least confidence of the levels 2 to 5.
local LEVELS = { 0.3, 0.5, 0.7, 0.9 }

---@param frame seedling.Frame
---@return seedling.Cell[]
function M.cells(frame)
  local cells = {}
  for _, piece in ipairs(frame.pieces) do
    local is_masked = piece.state == 'masked'
    for _, character in ipairs(is_masked and {} or text.characters(piece.text)) do
      table.insert(cells, { text = character, state = piece.state, confidence = piece.confidence })
    end
    for _ = 1, is_masked and piece.numTokens or 0 do
      table.insert(cells, { text = '', state = 'masked', confidence = piece.confidence })
    end
  end
  return cells
end

--- How sure the model is, from 1 (doubtful) to 5.
---@param confidence number
---@return integer
function M.level(confidence)
  local level = 1
  for i, least in ipairs(LEVELS) do
    level = confidence >= least and i + 1 or level
  end
  return level
end

---@param cell seedling.Cell
---@return string[] groups Highlight groups, the strongest last.
local function groups_of(cell)
  local groups = {}
  if cell.state == 'masked' then
    groups = { 'SeedlingMask' }
  elseif cell.state == 'locked' then
    groups = { 'SeedlingLocked' }
  elseif cell.state == 'draft' then
    local level = M.level(cell.confidence)
    -- Not by its colour alone.
    groups = level <= 2 and { 'SeedlingSure' .. level, 'SeedlingDoubt' } or { 'SeedlingSure' .. level }
  end
  if cell.corrected then
    table.insert(groups, 'SeedlingCorrected')
  end
  return groups
end

---@class seedling.Span
---@field row integer From 0.
---@field first integer Bytes.
---@field last integer
---@field groups string[]

--- The canvas as lines, and how their parts are drawn.
---@param cells seedling.Cell[]
---@return string[] lines
---@return seedling.Span[] spans
function M.drawn(cells)
  local lines, spans, line = {}, {}, ''
  for _, cell in ipairs(cells) do
    if cell.text == '\n' then
      table.insert(lines, line)
      line = ''
    else
      local shown, groups, last = cell.state == 'masked' and M.MASK or cell.text, groups_of(cell), spans[#spans]
      local joins = last and last.row == #lines and last.last == #line and vim.deep_equal(last.groups, groups)
      if joins then
        last.last = #line + #shown
      elseif #groups > 0 then
        table.insert(spans, { row = #lines, first = #line, last = #line + #shown, groups = groups })
      end
      line = line .. shown
    end
  end
  table.insert(lines, line)
  return lines, spans
end

---@param frame seedling.Frame
---@return integer num_written
---@return integer num_tokens Locked text was there before, and does not count.
local function counts(frame)
  local num_written, num_tokens = 0, 0
  for _, piece in ipairs(frame.pieces) do
    if piece.state ~= 'locked' then
      num_tokens = num_tokens + piece.numTokens
      num_written = num_written + (piece.state == 'masked' and 0 or piece.numTokens)
    end
  end
  return num_written, num_tokens
end

--- The figures of a step.
---@param frame seedling.Frame
---@param num_corrected integer In this step.
---@return string
function M.figures(frame, num_corrected)
  local num_written, num_tokens = counts(frame)
  local figures = 'step %d, %.0f ms: %d of %d tokens written, %d corrected'
  return figures:format(frame.step, frame.elapsedMs, num_written, num_tokens, num_corrected)
end

--- A step as one line of words, for screen readers and logs.
---@param frame seedling.Frame
---@param num_corrected integer
---@return string
function M.words(frame, num_corrected)
  local parts = vim.tbl_map(function(piece)
    return piece.state == 'masked' and ' … ' or piece.text
  end, frame.pieces)
  local said = vim.trim((table.concat(parts):gsub('%s+', ' ')))
  return M.figures(frame, num_corrected) .. (said ~= '' and ': ' .. said or '')
end

---@param number integer
---@param what string
local function counted(number, what)
  return ('%d %s%s'):format(number, what, number == 1 and '' or 's')
end

--- What a whole canvas took.
---@param ending seedling.Ending
---@param last? seedling.Frame
---@param num_corrected integer In all steps.
---@return string
function M.summary(ending, last, num_corrected)
  local elapsed_ms = ending.elapsedMs or last and last.elapsedMs
  local said = { counted(ending.steps or last and last.step or 0, 'step') }
  if ending.forwards then
    table.insert(said, counted(ending.forwards, 'forward'))
  end
  table.insert(said, counted(num_corrected, 'correction'))
  if elapsed_ms then
    table.insert(said, ('%.0f ms'):format(elapsed_ms))
  end
  if last and elapsed_ms and elapsed_ms > 0 then
    local _, num_tokens = counts(last)
    table.insert(said, ('%.0f tokens/s'):format(num_tokens * 1000 / elapsed_ms))
  end
  return table.concat(said, ', ')
end

return M
