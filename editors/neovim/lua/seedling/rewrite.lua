-- :Seedling rewrite: a selection, or the statement at the cursor, written anew as the user says. The canvas is shown
-- while it is written, then what would change as a diff: accepted (one step of undo), rejected, or tried again. It is
-- about one version of one buffer; whoever closes the window rejects it. Leaves out: what may be asked
-- (ask_rewrite.lua).

local canvas = require('seedling.canvas')
local denoise = require('seedling.denoise')
local floats = require('seedling.float')
local preview = require('seedling.preview')
local quiet = require('seedling.quiet')

local M = {}

local group = vim.api.nvim_create_augroup('seedling.rewrite', {})

---@class seedling.Wish What is to be rewritten, and how.
---@field client vim.lsp.Client
---@field buffer integer
---@field window integer
---@field version integer
---@field range lsp.Range
---@field instruction string
---@field seed integer

---@class seedling.Rewriting
---@field wish seedling.Wish
---@field view seedling.View
---@field job? seedling.Job
---@field lines? string[] The whole buffer as it would be, once that is known.

---@type seedling.Rewriting?
local current

---@param sentence string
local function warn(sentence)
  vim.notify('Seedling: ' .. sentence, vim.log.levels.WARN)
end

---@param wish seedling.Wish
---@return string? sentence Why the buffer cannot be changed now.
local function why_not(wish)
  if not vim.api.nvim_buf_is_loaded(wish.buffer) then
    return 'the buffer is gone; nothing was rewritten'
  elseif vim.lsp.util.buf_versions[wish.buffer] ~= wish.version then
    return 'the buffer has changed meanwhile; nothing was rewritten'
  elseif not vim.bo[wish.buffer].modifiable or vim.bo[wish.buffer].readonly then
    return 'the buffer is read-only; nothing was rewritten'
  end
end

--- Ends what is written or shown; nothing is changed.
---@return boolean ended false where there is none.
function M.reject()
  local rewriting = current
  current = nil
  vim.api.nvim_clear_autocmds({ group = group })
  if not rewriting then
    return false
  end
  if rewriting.job then
    canvas.cancel(rewriting.job)
  end
  denoise.close(rewriting.view)
  if vim.api.nvim_win_is_valid(rewriting.wish.window) then
    vim.api.nvim_set_current_win(rewriting.wish.window)
  end
  return true
end

--- Applies what is shown, as one change. false where there is none: the key can then do what it does else.
---@return boolean
function M.accept()
  local lines, wish = current and current.lines, current and current.wish
  if not lines or not wish then
    return false
  end
  M.reject()
  local sentence = why_not(wish)
  if sentence then
    warn(sentence)
    return true
  end
  local buffer = wish.buffer
  vim.bo[buffer].undolevels = vim.bo[buffer].undolevels -- begins a new undo step
  for _, hunk in ipairs(preview.hunks(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), lines)) do
    vim.api.nvim_buf_set_lines(buffer, hunk.first, hunk.first + hunk.num_old, true, hunk.lines)
  end
  return true
end

--- Tries again with another seed. false where nothing is shown.
---@return boolean
function M.retry()
  local wish = current and current.lines and current.wish
  if not wish then
    return false
  end
  M.reject()
  M.ask(vim.tbl_extend('force', wish, { seed = wish.seed + 1 }))
  return true
end

---@param rewriting seedling.Rewriting
---@param answer table
local function show_diff(rewriting, answer)
  local wish, float = rewriting.wish, assert(rewriting.view.float)
  local old = vim.api.nvim_buf_get_lines(wish.buffer, 0, -1, false)
  rewriting.lines = preview.replaced(old, answer.range, wish.client.offset_encoding, answer.text)
  local shown = { '# ' .. wish.instruction }
  table.insert(shown, ('# %.0f %% sure'):format(answer.confidence * 100))
  if answer.parses == false then
    table.insert(shown, '# does not parse')
  end
  floats.label(float, {
    title = wish.seed == 0 and 'Seedling: rewrite' or ('Seedling: rewrite, try %d'):format(wish.seed + 1),
    footer = '<CR>: accept  r: retry  q: reject',
    keys = { ['<CR>'] = M.accept, r = M.retry, q = M.reject, ['<Esc>'] = M.reject },
  })
  vim.api.nvim_buf_clear_namespace(float.buffer, -1, 0, -1)
  floats.write(float, vim.list_extend(shown, preview.diff(old, rewriting.lines)))
  vim.bo[float.buffer].filetype = 'diff'
  float.width = 1
  floats.fit(float)
end

---@param rewriting seedling.Rewriting
---@param answer? table
---@param sentence? string
local function ended(rewriting, answer, sentence)
  if current ~= rewriting then
    return
  end
  rewriting.job = nil
  rewriting.view.steps = {} -- what is still to be drawn comes too late
  sentence = sentence or why_not(rewriting.wish)
  if sentence then
    M.reject()
    warn(sentence)
  else
    show_diff(rewriting, assert(answer))
  end
end

--- Asks for it and shows how it is written.
---@param wish seedling.Wish
function M.ask(wish)
  M.reject()
  local sentence = quiet.reason(wish.buffer) or why_not(wish)
  if sentence then
    warn(sentence)
    return
  end
  if vim.api.nvim_win_is_valid(wish.window) then
    vim.api.nvim_set_current_win(wish.window)
  end
  ---@type seedling.Rewriting
  local rewriting = { wish = wish, view = denoise.open('Seedling: ' .. wish.instruction, '', false, M.reject) }
  current = rewriting
  vim.api.nvim_create_autocmd({ 'BufUnload', 'BufWipeout' }, {
    group = group,
    buffer = wish.buffer,
    callback = vim.schedule_wrap(M.reject),
  })
  local argument = {
    uri = vim.uri_from_bufnr(wish.buffer),
    version = wish.version,
    range = wish.range,
    instruction = wish.instruction,
    seed = wish.seed,
    apply = false,
  }
  rewriting.job = canvas.ask(wish.client, 'seedling.rewrite', argument, function(frame)
    denoise.add(rewriting.view, frame)
  end, function(answer, why)
    ended(rewriting, answer, why)
  end)
end

--- Whether there is something to accept or reject.
---@return boolean
function M.visible()
  return current ~= nil and current.lines ~= nil
end

return M
