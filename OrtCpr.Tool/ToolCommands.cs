using System.CommandLine;
using OrtCpr.Tool.Artifacts;
using OrtCpr.Tool.Figures;
using OrtCpr.Tool.Gradcheck;
using OrtCpr.Tool.Heads;
using OrtCpr.Tool.Inspect;
using OrtCpr.Tool.Report;
using OrtCpr.Tool.Train;
using OrtCpr.Tool.Verify;

namespace OrtCpr.Tool;

/// <summary>The commands of the tool, each with its options.</summary>
internal static class ToolCommands
{
    /// <summary>The root with all of them.</summary>
    public static RootCommand Create()
    {
        RootCommand root = new("Trains exported ONNX models with AdamCPR on stock ONNX Runtime.");
        Command[] commands =
        [
            TrainCommand.Create(), EvaluateCommand.Create(), ExportCommand.Create(), PlotCommand.Create(), ReportCommand.Create(),
            BenchCommand.Create(), InspectCommand.Create(), GradcheckCommand.Create(), ImportWeightsCommand.Create(), HeadCommand.Create(),
            DevicesCommand.Create(), ArtifactsCommand.Create(), .. VerifyCommand.Create(),
        ];
        foreach (Command command in commands) root.Add(command);
        return root;
    }

    /// <summary>The words of a command line with dashes in the names of options: underscores and dashes are equal there.</summary>
    public static string[] Dashed(IEnumerable<string> words) =>
        [.. words.Select(w => w.StartsWith("--", StringComparison.Ordinal) ? DashedOption(w) : w)];

    private static string DashedOption(string option)
    {
        int end = option.IndexOf('=', StringComparison.Ordinal);
        return end < 0 ? option.Replace('_', '-') : option[..end].Replace('_', '-') + option[end..];
    }
}
