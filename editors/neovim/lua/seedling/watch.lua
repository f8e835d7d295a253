-- :Seedling watch: the completion at the cursor, written before the user's eyes. Nothing is inserted. Closing the view
-- takes the question back. Leaves out: the view (denoise.lua).

local canvas = require('seedling.canvas')
local clients = require('seedling.client')
local denoise = require('seedling.denoise')

local M = {}

---@class seedling.Watching
---@field view seedling.View
---@field job? seedling.Job

---@type seedling.Watching?
local current

--- Closes the view; what is being written is taken back.
function M.stop()
  local watching = current
  current = nil
  if watching then
    if watching.job then
      canvas.cancel(watching.job)
    end
    denoise.close(watching.view)
  end
end

--- Where the canvas begins: in Normal mode behind the cursor's character, as |a| would.
---@return integer row
---@return integer column Bytes.
---@return string line
local function place()
  local cursor, line = vim.api.nvim_win_get_cursor(0), vim.api.nvim_get_current_line()
  local column = cursor[2]
  if not vim.startswith(vim.api.nvim_get_mode().mode, 'i') and column < #line then
    column = column + vim.str_utf_end(line, column + 1) + 1
  end
  return cursor[1] - 1, column, line
end

---@param is_plain boolean Lines of words instead of a picture.
function M.start(is_plain)
  local buffer = vim.api.nvim_get_current_buf()
  local client = clients.of(buffer)
  if not client then
    vim.notify('Seedling: no server serves this buffer (:checkhealth seedling may tell why)', vim.log.levels.ERROR)
    return
  end
  M.stop()
  local row, column, line = place()
  local argument = {
    uri = vim.uri_from_bufnr(buffer),
    version = vim.lsp.util.buf_versions[buffer],
    position = { line = row, character = vim.str_utfindex(line, client.offset_encoding, column, false) },
  }
  vim.cmd.stopinsert()
  ---@type seedling.Watching
  local watching = { view = denoise.open(('Seedling: line %d'):format(row + 1), line:sub(1, column), is_plain, M.stop) }
  current = watching
  watching.job = canvas.ask(client, 'seedling.watch', argument, function(frame)
    denoise.add(watching.view, frame)
  end, function(answer, sentence)
    if answer then
      denoise.finish(watching.view, answer)
    else
      if current == watching then
        M.stop()
      end
      vim.notify('Seedling: ' .. assert(sentence), vim.log.levels.WARN)
    end
  end)
end

return M
