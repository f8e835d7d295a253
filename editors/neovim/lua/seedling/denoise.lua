-- The denoise view: a canvas as it is being written, in a floating window, coloured by how sure the model is; or as one
-- line of words a step in a window of its own, for screen readers and logs. Redrawn at most every REDRAW_MS; every step
-- can be looked at afterwards. Leaves out: asking (watch.lua, rewrite.lua), what a frame means (frames.lua).

local corrections = require('seedling.corrections')
local floats = require('seedling.float')
local frames = require('seedling.frames')

local M = {}

local REDRAW_MS = 33
local PLAIN_HEIGHT = 10

local namespace = vim.api.nvim_create_namespace('seedling.denoise')
local group = vim.api.nvim_create_augroup('seedling.denoise', {})

---@class seedling.Step
---@field cells seedling.Cell[]
---@field line string Its figures.

---@class seedling.View
---@field float? seedling.Float nil where it is lines of words.
---@field buffer integer
---@field window integer
---@field before string What stands before the canvas in its line.
---@field steps seedling.Step[]
---@field index integer The step that is shown.
---@field last? seedling.Frame
---@field num_corrected integer
---@field pending string[] Lines of words that are not in the buffer yet.
---@field will_draw boolean

---@param view seedling.View
local function draw_words(view)
  local pending = view.pending
  view.pending = {}
  if #pending == 0 or not vim.api.nvim_buf_is_valid(view.buffer) then
    return
  end
  vim.bo[view.buffer].modifiable = true
  vim.api.nvim_buf_set_lines(view.buffer, -1, -1, false, pending)
  vim.bo[view.buffer].modifiable = false
  if vim.api.nvim_win_is_valid(view.window) then
    vim.api.nvim_win_set_cursor(view.window, { vim.api.nvim_buf_line_count(view.buffer), 0 })
  end
end

---@param view seedling.View
local function draw_canvas(view)
  local step, float = view.steps[view.index], assert(view.float)
  if not step or not floats.is_open(float) then
    return
  end
  local lines, spans = frames.drawn(step.cells)
  lines[1] = view.before .. lines[1]
  table.insert(lines, '')
  table.insert(lines, step.line)
  floats.write(float, lines)
  local function mark(row, first, last, group_name, priority)
    vim.api.nvim_buf_set_extmark(view.buffer, namespace, row, first, {
      end_col = last,
      hl_group = group_name,
      priority = priority,
    })
  end
  vim.api.nvim_buf_clear_namespace(view.buffer, namespace, 0, -1)
  mark(0, 0, #view.before, 'SeedlingLocked', 100)
  mark(#lines - 1, 0, #step.line, 'SeedlingLocked', 100)
  for _, span in ipairs(spans) do
    local shift = span.row == 0 and #view.before or 0
    for i, name in ipairs(span.groups) do
      mark(span.row, span.first + shift, span.last + shift, name, 100 + i)
    end
  end
  floats.fit(float)
end

---@param view seedling.View
local function draw_soon(view)
  if not view.will_draw then
    view.will_draw = true
    vim.defer_fn(function()
      view.will_draw = false
      local draw = view.float and draw_canvas or draw_words
      draw(view)
    end, REDRAW_MS)
  end
end

---@param view seedling.View
---@param step integer
local function go(view, step)
  view.index = math.max(1, math.min(view.index + step, #view.steps))
  draw_canvas(view)
end

--- What stands on its border, and its keys.
---@param view seedling.View
---@param title string
---@param on_close fun()
---@return seedling.FloatText
local function label(view, title, on_close)
  local keys = {
    q = on_close,
    ['<Esc>'] = on_close,
    n = function()
      go(view, 1)
    end,
    p = function()
      go(view, -1)
    end,
  }
  return { title = title, footer = 'p, n: step  q: close', keys = keys }
end

---@param view seedling.View
---@param title string
---@param on_close fun()
local function open_words(view, title, on_close)
  view.buffer = vim.api.nvim_create_buf(false, true)
  vim.bo[view.buffer].bufhidden = 'wipe'
  vim.api.nvim_buf_set_lines(view.buffer, 0, -1, false, { title })
  vim.bo[view.buffer].modifiable = false
  local height = math.max(1, math.min(PLAIN_HEIGHT, vim.o.lines - 4))
  view.window = vim.api.nvim_open_win(view.buffer, true, { split = 'below', win = -1, height = height })
  vim.wo[view.window].wrap = true
  vim.keymap.set('n', 'q', on_close, { buffer = view.buffer, nowait = true })
  vim.api.nvim_create_autocmd('WinClosed', {
    group = group,
    pattern = tostring(view.window),
    once = true,
    callback = vim.schedule_wrap(on_close),
  })
end

--- Opens it and goes there.
---@param title string
---@param before string What stands before the canvas in its line.
---@param is_plain boolean Lines of words.
---@param on_close fun() Called when the user closes it.
---@return seedling.View
function M.open(title, before, is_plain, on_close)
  ---@type seedling.View
  local view = {
    buffer = -1,
    window = -1,
    before = before,
    steps = {},
    index = 0,
    num_corrected = 0,
    pending = {},
    will_draw = false,
  }
  if is_plain then
    open_words(view, title, on_close)
    return view
  end
  require('seedling.draw').define_highlights()
  view.float = floats.open(label(view, title, on_close), on_close)
  view.buffer, view.window = view.float.buffer, view.float.window
  return view
end

--- Another step of the canvas.
---@param view seedling.View
---@param frame seedling.Frame
function M.add(view, frame)
  local cells = frames.cells(frame)
  local before = view.steps[#view.steps]
  local num_corrected = before and corrections.follow(before.cells, cells) or 0
  view.num_corrected = view.num_corrected + num_corrected
  view.last = frame
  table.insert(view.pending, frames.words(frame, num_corrected))
  local line = ('%s, %.0f %% sure'):format(frames.figures(frame, num_corrected), frame.confidence * 100)
  local was_newest = view.index == #view.steps
  table.insert(view.steps, { cells = cells, line = line })
  view.index = was_newest and #view.steps or view.index
  draw_soon(view)
end

--- It is written: what came of it, and what that took.
---@param view seedling.View
---@param answer { text: string } | seedling.Ending
function M.finish(view, answer)
  local summary = frames.summary(answer, view.last, view.num_corrected)
  local piece = { state = 'committed', text = answer.text, numTokens = 0, confidence = 1 }
  local cells = frames.cells({ step = 0, elapsedMs = 0, confidence = 1, pieces = { piece }, token = '' })
  local before = view.steps[#view.steps]
  if before then
    corrections.follow(before.cells, cells) -- for the marks: what is cut off behind the answer is no correction
  end
  table.insert(view.pending, summary)
  table.insert(view.steps, { cells = cells, line = summary })
  view.index = #view.steps
  draw_soon(view)
end

---@param view seedling.View
function M.close(view)
  if view.float then
    floats.close(view.float)
    return
  end
  if vim.api.nvim_win_is_valid(view.window) then
    vim.api.nvim_clear_autocmds({ group = group, event = 'WinClosed', pattern = tostring(view.window) })
    vim.api.nvim_win_close(view.window, true)
  end
end

return M
