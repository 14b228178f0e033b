using System.Globalization;
using System.Runtime.InteropServices;

namespace OrtCpr.Tool;

/// <summary>An error that is ours, not the user's: one line for the user, everything else in a file that a report may have.</summary>
internal static class UnexpectedError
{
    /// <summary>Writes the details to a file and a line to the standard error stream.</summary>
    /// <param name="error">What happened.</param>
    /// <param name="words">The command line.</param>
    public static void Report(Exception error, IReadOnlyList<string> words)
    {
        string path = Path.Combine(Path.GetTempPath(),
            string.Create(CultureInfo.InvariantCulture, $"ortcpr-error-{Environment.ProcessId}.txt"));
        string version = typeof(UnexpectedError).Assembly.GetName().Version?.ToString() ?? "";
        string where;
        try
        {
            File.WriteAllText(path,
                $"ortcpr {version}, .NET {Environment.Version}, {RuntimeInformation.RuntimeIdentifier}\nortcpr "
                + $"{string.Join(' ', words)}\n\n{error}\n");
            where = $"Please report it with '{path}', which has the command line and where it happened.";
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            where = $"The details can't be written to '{path}'; please report it with the command line.";
        }
        Console.Error.WriteLine($"This is an error of ortcpr itself, not of yours ({error.GetType().Name}: "
            + $"{error.Message.Split('\n')[0].TrimEnd()}). {where}");
    }
}
