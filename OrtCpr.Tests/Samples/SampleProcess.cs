using System.Diagnostics;
using System.Text;

namespace OrtCpr.Tests.Samples;

// A sample that goes on until it is told to end.
internal sealed class SampleProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private SampleProcess(Process process) => _process = process;

    public string Output
    {
        get { lock (_output) return _output.ToString(); }
    }

    public static SampleProcess Start(string sample, string folder, params string[] arguments)
    {
        var running = new SampleProcess(Process.Start(SampleRun.StartOf(sample, folder, arguments))!);
        running._process.OutputDataReceived += (_, line) => running.Note(line.Data);
        running._process.ErrorDataReceived += (_, line) => running.Note(line.Data);
        running._process.BeginOutputReadLine();
        running._process.BeginErrorReadLine();
        return running;
    }

    // What follows a mark in the output, up to the end of its word.
    public async Task<string> WordBehindAsync(string mark)
    {
        var watch = Stopwatch.StartNew();
        while (!_process.HasExited && watch.Elapsed < TimeSpan.FromSeconds(60))
        {
            string output = Output;
            int at = output.IndexOf(mark, StringComparison.Ordinal);
            if (at >= 0) return output[(at + mark.Length)..].Split(' ', '\n')[0].Trim();
            await Task.Delay(20);
        }
        Assert.Fail($"The sample did not print '{mark}': {Output}");
        return "";
    }

    // As a service manager ends it; gives the exit code.
    public async Task<int> TerminateAsync()
    {
        if (OperatingSystem.IsWindows()) Assert.Inconclusive("There is no SIGTERM.");
        using (Process kill = Process.Start("kill", ["-TERM", $"{_process.Id}"])) await kill.WaitForExitAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await _process.WaitForExitAsync(patience.Token);
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    private void Note(string? line)
    {
        if (line is null) return;
        lock (_output) _output.Append(line).Append('\n');
    }
}
