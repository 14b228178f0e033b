using System.CommandLine;
using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tool.Inspect;

// `ortcpr inspect MODEL…`: what a model is made of, what of it is trained, and what training takes.
internal static class InspectCommand
{
    public static Command Create()
    {
        Argument<string[]> models = new("MODEL") { Description = "ONNX files, or folders with such.", Arity = ArgumentArity.OneOrMore };
        Option<string[]> sizes = new("--size")
        {
            Description = "Size of a symbolic dimension for the memory estimate, as batch=8. May be "
                + "given several times.",
            AllowMultipleArgumentsPerToken = true
        };
        Option<string[]> freeze =
            new("--freeze") { Description = "Names of parameters that are not trained; * and ? and regex: are understood." };
        Option<bool> all = new("--all") { Description = "Every parameter, not only the first 40." };
        Command command = new("inspect", "Lists inputs, outputs, parameters, operators, sizes and the memory that training "
            + "takes.\n\nExamples:\n  ortcpr inspect resnet18.onnx --size batch=32\n  ortcpr inspect classifier.onnx --freeze "
            + "\"encoder.*\" --all") { models, sizes, freeze, all };
        command.SetAction(r =>
        {
            Dictionary<string, long> known = Sizes(r.GetValue(sizes) ?? []);
            var parameters = new ParameterOptions { Freeze = [.. (r.GetValue(freeze) ?? []).Select(NamePattern.FromString)] };
            int worst = 0;
            string[] paths = [.. r.GetValue(models)!.SelectMany(Files)];
            for (int i = 0; i < paths.Length; i++)
            {
                if (i > 0) Console.WriteLine("\n");
                worst = Math.Max(worst, Inspect(paths[i], known, parameters, r.GetValue(all), alone: paths.Length == 1));
            }
            return worst;
        });
        return command;
    }

    private static IEnumerable<string> Files(string path)
    {
        if (!Directory.Exists(path)) return [path];
        string[] files = [.. Directory.EnumerateFiles(path, "*.onnx", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        return files.Length > 0 ? files
            : throw new ToolException($"The folder '{path}' has no .onnx file. Name a model, or a folder with models.");
    }

    // Of several models, one that can't be read does not keep the others from being shown.
    private static int Inspect(string path, IReadOnlyDictionary<string, long> sizes, ParameterOptions parameters, bool all, bool alone)
    {
        try
        {
            return Show(path, ModelInspector.Inspect(path, sizes, parameters), all);
        }
        catch (OrtCprException error) when (!alone)
        {
            Console.WriteLine($"{path}\n\n{error.Message}");
            return 1;
        }
    }

    private static int Show(string path, ModelReport report, bool all)
    {
        TextWriter o = Console.Out;
        o.WriteLine($"{path}\n");
        Section(o, "inputs", report.Inputs);
        Section(o, "outputs", report.Outputs);
        o.WriteLine("operators");
        foreach (OperatorUse use in report.Operators)
        {
            o.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {use.Count,6}  {use.Name,-40} {Text(use.Support)}"));
        }
        o.WriteLine();
        if (report.Parameters is not null)
        {
            string[] lines = report.Parameters.ToString().Split('\n');
            foreach (string line in all || lines.Length <= 42 ? lines
                : [.. lines[..41], $"… {lines.Length - 42} more; --all lists them", lines[^1]])
            {
                o.WriteLine(line.TrimEnd());
            }
            o.WriteLine();
        }
        if (report.Nodes is (int forward, int backward))
        {
            o.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"training graph: {forward} nodes forward, {backward} backward, {report.RunTimeReductions} broadcast sums decided at run "
                + $"time; built in {report.BuildTime!.Value.TotalSeconds:F2} s"));
        }
        if (report.Memory is MemoryEstimate m)
        {
            string at = report.Sizes.Count == 0 ? ""
                : $" at {string.Join(", ", report.Sizes.Select(s => $"{s.Key} = {s.Value}"))} (--size NAME=N for others)";
            o.WriteLine($"memory: parameters {Mebibytes(m.Parameters)}, gradients and Adam's moments {Mebibytes(m.State)}, activations "
                + $"kept for the backward pass {(m.Activations is long a ? Mebibytes(a) : "unknown")}{at}");
        }
        foreach (string warning in report.Warnings) o.WriteLine($"warning: {warning}");
        if (report.Problem is null) return 0;
        o.WriteLine($"\nThis model cannot be trained as it is.\n{report.Problem}");
        return 1;
    }

    private static Dictionary<string, long> Sizes(string[] given)
    {
        var sizes = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (string text in given)
        {
            int equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || !long.TryParse(text[(equals + 1)..], CultureInfo.InvariantCulture, out long n) || n < 1)
                throw new ToolException($"--size '{text}': expected NAME=N with N of at least 1, such as batch=8.");
            sizes[text[..equals]] = n;
        }
        return sizes;
    }

    private static void Section(TextWriter o, string title, IReadOnlyList<string> lines)
    {
        o.WriteLine(title);
        foreach (string line in lines) o.WriteLine($"  {line}");
        o.WriteLine();
    }

    private static string Text(OperatorSupport support) => support switch
    {
        OperatorSupport.Rule => "gradient",
        OperatorSupport.Decomposed => "gradient, by decomposition",
        OperatorSupport.NoGradient => "no derivative by nature",
        _ => "NO GRADIENT RULE",
    };

    private static string Mebibytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:N1} MiB");
}
