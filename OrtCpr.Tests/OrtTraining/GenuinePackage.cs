using System.ComponentModel;
using System.Diagnostics;

namespace OrtCpr.Tests.OrtTraining;

// The npm package onnxruntime-web 1.19.2, which has the genuine training runtime, and the folder of the scripts that use it.
internal static class GenuinePackage
{
    private static readonly string Scripts = Path.Combine(AppContext.BaseDirectory, "GenuineRuntime");

    // The package's files, which npm fetches where nobody has before.
    public static string FindOrSkip()
    {
        string modules = Environment.GetEnvironmentVariable("ORTCPR_GENUINE") ?? Path.Combine(Scripts, "node_modules");
        if (!Directory.Exists(modules) && Run("npm", "install", "--no-audit", "--no-fund") is not (0, _))
        {
            Assert.Inconclusive("The genuine runtime is not here: Node with npm, and the package onnxruntime-web 1.19.2, are needed "
                + "(ORTCPR_GENUINE names a node_modules folder that has it).");
        }
        return Path.Combine(modules, "onnxruntime-web", "dist");
    }

    public static (int ExitCode, string Output) Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program)
        {
            WorkingDirectory = Scripts,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> error = process.StandardError.ReadToEndAsync();
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            if (!process.WaitForExit(TimeSpan.FromMinutes(5)))
            {
                process.Kill(entireProcessTree: true);
                return (-1, $"{program} took longer than five minutes");
            }
            return (process.ExitCode, output.Result + error.Result);
        }
        catch (Win32Exception error)
        {
            return (-1, error.Message);
        }
    }
}
