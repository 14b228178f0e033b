using System.CommandLine;

namespace OrtCpr.Tool.Artifacts;

// `ortcpr artifacts …`: files of training jobs.
internal static class ArtifactsCommand
{
    public static Command Create() => new("artifacts", "Files of training jobs: for OrtCpr, and for ONNX Runtime's own on-device training.")
    {
        BuildCommand.Create(),
        FixturesCommand.Create(),
    };
}
