using System.Diagnostics;
using System.Globalization;

namespace OrtCpr.Benchmarks.Harness;

/// <summary>This program once more, in a process of its own that measures one thing and ends.</summary>
internal static class ChildProcess
{
    /// <summary>First argument of such a process. Not for people.</summary>
    public const string Verb = "child";

    /// <summary>Starts a process and waits for its figures.</summary>
    /// <param name="arguments">After <see cref="Verb"/>.</param>
    /// <exception cref="BenchmarkException">It ended with an error.</exception>
    public static IReadOnlyDictionary<string, double> Run(IEnumerable<string> arguments)
    {
        string program = Environment.ProcessPath
            ?? throw new BenchmarkException("The path of this program is not known, so it cannot be started again.");
        // Started as 'dotnet OrtCpr.Benchmarks.dll', the program is the host and the assembly its first argument.
        IEnumerable<string> host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Environment.GetCommandLineArgs()[0]] : [];
        ProcessStartInfo start = new(program, [.. host, Verb, .. arguments])
        { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new BenchmarkException($"The process of its own ended with {process.ExitCode}: {errors.GetAwaiter().GetResult().Trim()}");
        return output.Split('\n').Select(line => line.Split('=')).Where(p => p.Length == 2)
            .ToDictionary(p => p[0], p => double.Parse(p[1], CultureInfo.InvariantCulture), StringComparer.Ordinal);
    }

    /// <summary>Hands a figure to the process that started this one.</summary>
    public static void Report(string name, double value) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}={value:R}"));
}
