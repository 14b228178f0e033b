using System.Diagnostics;

namespace OrtCpr.Tests.Samples;

// A sample in a process of its own, as a user runs it.
internal static class SampleRun
{
    public static (int ExitCode, string Output) Of(string sample, string folder, params string[] arguments)
    {
        using Process process = Process.Start(StartOf(sample, folder, arguments))!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + error.Result;
        process.WaitForExit();
        return (process.ExitCode, output);
    }

    public static ProcessStartInfo StartOf(string sample, string folder, params string[] arguments) =>
        new("dotnet", [Path.Combine(FolderOf(sample), $"{sample}.dll"), .. arguments])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };

    // Where it was built.
    public static string FolderOf(string sample) => Path.Combine(AppContext.BaseDirectory, "..", "..", sample,
        Path.GetFileName(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar)));
}
