-- Has the server write a canvas before the user's eyes (seedling.rewrite, seedling.watch): its frames as they come,
-- then what came of it, once, however it ends; taken back with $/cancelRequest. Leaves out: drawing (denoise.lua).

local clients = require('seedling.client')
local frames = require('seedling.frames')

local M = {}

local PREFIX = 'neovim-'
local ECHO_MS = 100

---@class seedling.Job A canvas that is being written.
---@field client vim.lsp.Client
---@field id? integer
---@field token string
---@field on_frame fun(frame: seedling.Frame)
---@field on_end fun(answer?: table, sentence?: string) `sentence`: why nothing was written.

---@type table<string, seedling.Job>
local jobs = {}
local num_asked = 0
local last_echo_ns = 0

---@param job seedling.Job
---@param answer? table
---@param sentence? string
local function finish(job, answer, sentence)
  if jobs[job.token] == job then
    jobs[job.token] = nil
    job.on_end(answer, sentence)
  end
end

---@param client vim.lsp.Client
---@param command string
---@param argument table Its token is added.
---@param on_frame fun(frame: seedling.Frame)
---@param on_end fun(answer?: table, sentence?: string)
---@return seedling.Job
function M.ask(client, command, argument, on_frame, on_end)
  num_asked = num_asked + 1
  local token = PREFIX .. num_asked
  ---@type seedling.Job
  local job = { client = client, token = token, on_frame = on_frame, on_end = on_end }
  jobs[token] = job
  argument = vim.tbl_extend('force', argument, { token = token })
  job.id = clients.execute(client, command, { argument }, function(answer, problem)
    if problem or type(answer) ~= 'table' then
      finish(job, nil, problem or 'the server answered nothing')
    elseif answer.reason then
      finish(job, nil, answer.sentence or answer.reason)
    else
      finish(job, answer)
    end
  end)
  if not job.id then
    vim.schedule(function()
      finish(job, nil, 'the server does not listen any more (:Seedling restart)')
    end)
  end
  return job
end

--- Its result is no longer wanted; `on_end` is not called.
---@param job seedling.Job
function M.cancel(job)
  if jobs[job.token] == job then
    jobs[job.token] = nil
    if job.id then
      job.client:cancel_request(job.id)
    end
  end
end

--- A server has ended: Neovim answers none of the requests that it leaves behind.
---@param client_id integer
function M.server_gone(client_id)
  for _, job in pairs(vim.tbl_values(jobs)) do
    if job.client.id == client_id then
      finish(job, nil, 'the server has ended; nothing was changed')
    end
  end
end

--- The frame of a rewrite that was chosen in a menu, whose end is nobody's to know here: one line of words.
---@param frame seedling.Frame
local function echo(frame)
  local now_ns = vim.uv.hrtime()
  if now_ns - last_echo_ns < ECHO_MS * 1e6 then
    return
  end
  last_echo_ns = now_ns
  local words = ('Seedling: %s'):format(frames.words(frame, 0))
  vim.api.nvim_echo({ { vim.fn.strcharpart(words, 0, math.max(0, vim.v.echospace)) } }, false, {})
end

--- The server has sent a frame.
---@param frame seedling.Frame
function M.take(frame)
  local job = jobs[frame.token]
  if job then
    job.on_frame(frame)
  elseif not vim.startswith(tostring(frame.token), PREFIX) then
    echo(frame) -- one of ours that is not known any more was taken back
  end
end

return M
