using System.CommandLine;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.Tool.Artifacts;

namespace OrtCpr.Tests.OrtTraining;

// Short names, away from the types that both runtimes have.
internal static class Types
{
    public const TensorElementType Float = TensorElementType.Float, Int64 = TensorElementType.Int64;

    public static int Run(params string[] arguments) =>
        new RootCommand { ArtifactsCommand.Create() }.Parse(arguments)
        .Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
