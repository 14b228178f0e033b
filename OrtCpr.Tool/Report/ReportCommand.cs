using System.CommandLine;

namespace OrtCpr.Tool.Report;

// `ortcpr report FOLDER`: a run as one HTML file.
internal static class ReportCommand
{
    public const string FileName = "report.html";

    public static Command Create()
    {
        Argument<string> folder = new("FOLDER") { Description = "The --out folder of a run." };
        Option<string?> target = new("--out") { Description = "The file; report.html in the folder by default." };
        Command command = new("report",
            "Writes a run as one HTML file: curves, bounds, settings, and where it was trained with --report the confusion matrix and the "
            + "examples with the largest losses.\n\nExample:\n  ortcpr report trained") { folder, target };
        command.SetAction(r =>
        {
            string path = r.GetValue(target) ?? Path.Combine(r.GetValue(folder)!, FileName);
            Write(r.GetValue(folder)!, path);
            Console.WriteLine(path);
            return 0;
        });
        return command;
    }

    public static void Write(string folder, string path)
    {
        string html = HtmlReport.Of(folder);
        try
        {
            File.WriteAllText($"{path}.tmp", html);
            File.Move($"{path}.tmp", path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"The report '{path}' can't be written: {error.Message} Check the folder and the free space, or name "
                + "another file by --out.");
        }
    }
}
