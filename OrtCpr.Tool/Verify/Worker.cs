using System.Diagnostics;
using System.Text.Json;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Verify;

// Runs cases one after another for another process: a path a line comes in, a JSON result a line goes out. So that a case that takes its
// process down, or never ends, costs nothing but itself.
internal static class Worker
{
    public const string Command = "verify-worker";

    public static int Serve(DriverOptions options, Precision precision)
    {
        using TextWriter output = Console.Out;
        // Nothing else may write between the results.
        Console.SetOut(Console.Error);
        while (Console.In.ReadLine() is string path)
        {
            output.WriteLine(JsonSerializer.Serialize(CaseRunner.Run(path, options, precision)));
            output.Flush();
        }
        return 0;
    }
}

// The other side: one worker process, started anew after a crash or a time-out.
internal sealed class WorkerProcess(IReadOnlyList<string> arguments, TimeSpan limit) : IDisposable
{
    private Process? _process;

    public CaseResult Run(string path)
    {
        _process ??= Start();
        var watch = Stopwatch.StartNew();
        string name = CaseRunner.NameOf(path);
        try
        {
            _process.StandardInput.WriteLine(path);
            _process.StandardInput.Flush();
            Task<string?> line = _process.StandardOutput.ReadLineAsync();
            if (!line.Wait(limit)) return Failed(name, watch, $"did not finish within {limit.TotalSeconds:0} s");
            if (line.Result is not null) return JsonSerializer.Deserialize<CaseResult>(line.Result)!;
        }
        catch (Exception error) when (error is IOException or AggregateException or JsonException)
        {
            // The pipe broke: the process is gone.
        }
        _process.WaitForExit(5000);
        return Failed(name, watch, $"the process crashed (exit code {(_process.HasExited ? _process.ExitCode : -1)})");
    }

    public void Dispose() => Stop();

    private CaseResult Failed(string name, Stopwatch watch, string message)
    {
        Stop();
        return new(name, "?", false, 0, watch.Elapsed.TotalSeconds, message);
    }

    private Process Start()
    {
        string self = Environment.ProcessPath!;
        var start = new ProcessStartInfo(self)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = false
        };
        // `dotnet ortcpr.dll …`: the host needs the assembly first.
        if (Path.GetFileNameWithoutExtension(self).Equals("dotnet", StringComparison.OrdinalIgnoreCase))
        {
            start.ArgumentList.Add(typeof(Worker).Assembly.Location);
        }
        start.ArgumentList.Add(Worker.Command);
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    private void Stop()
    {
        if (_process is null) return;
        try
        {
            if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It ended by itself in between.
        }
        _process.Dispose();
        _process = null;
    }
}
