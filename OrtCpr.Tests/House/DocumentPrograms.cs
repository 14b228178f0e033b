using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Emit;

namespace OrtCpr.Tests.House;

/// <summary>The C# blocks of a document as programs. A block that begins with <c>using</c> directives begins a program; one that does not
/// goes on with the program of the block before it. A block that begins with <c>namespace</c> is a source file of this repository and
/// stands alone. A comment <c>&lt;!-- assumes: float[] x = []; --&gt;</c> before a fence declares what the block takes as given.</summary>
internal static class DocumentPrograms
{
    // What a console project of the .NET SDK has without saying so.
    private const string Implicit = """
        global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq;
        global using System.Net.Http; global using System.Threading; global using System.Threading.Tasks;
        """;

    private static readonly CSharpParseOptions Language = new(LanguageVersion.Latest, DocumentationMode.None);

    private static readonly Lazy<MetadataReference[]> References = new(() =>
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Where(File.Exists)
            .Select(f => MetadataReference.CreateFromFile(f)),
    ]);

    /// <summary>Errors and warnings of the document's programs, each with its place in the document.</summary>
    public static IEnumerable<string> Problems(Markdown document) =>
        Sources(document).SelectMany(Problems).Concat(Programs(document).Select(Join).Select(p => Compilation(p, "Document"))
            .SelectMany(Problems));

    /// <summary>Errors and warnings of one source file.</summary>
    public static IEnumerable<string> Problems(string source) => Problems(Compilation(source, "Source"));

    /// <summary>Runs the programs of a document, one after the other, each in a process of its own.</summary>
    /// <param name="document">The document.</param>
    /// <param name="folder">The folder to run them in.</param>
    /// <param name="arguments">What follows on their command lines.</param>
    /// <returns>What each has written; all of them have ended with 0.</returns>
    public static IEnumerable<string> Run(Markdown document, string folder, params IReadOnlyList<string> arguments)
    {
        foreach (string program in Programs(document).Select(Join))
        {
            // Beside the libraries, where the host looks for them.
            string name = $"Document-{Guid.NewGuid():N}", path = Path.Combine(AppContext.BaseDirectory, $"{name}.dll");
            try
            {
                EmitResult emitted = Compilation(program, name).Emit(path);
                Assert.IsTrue(emitted.Success, string.Join('\n', emitted.Diagnostics));
                string tests = Path.Combine(AppContext.BaseDirectory, "OrtCpr.Tests");
                ProcessStartInfo start = new("dotnet",
                    ["exec", "--runtimeconfig", $"{tests}.runtimeconfig.json", "--depsfile", $"{tests}.deps.json", path, .. arguments])
                {
                    WorkingDirectory = folder,
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                };
                using Process process = Process.Start(start)!;
                Task<string> error = process.StandardError.ReadToEndAsync();
                string output = process.StandardOutput.ReadToEnd();
                process.WaitForExit();
                Assert.AreEqual(0, process.ExitCode, $"{document.Path}: {output}{error.Result}");
                yield return output;
            }
            finally
            {
                File.Delete(path);
            }
        }
    }

    private static IEnumerable<CSharpCompilation> Sources(Markdown document) =>
        // A friend of the libraries, as their own sources are.
        Code(document).Where(IsSource).Select(b => Compilation(Placed(b, b.Line, b.Text), "OrtCpr.Tests"));

    private static List<List<FencedBlock>> Programs(Markdown document)
    {
        var programs = new List<List<FencedBlock>>();
        foreach (FencedBlock block in Code(document).Where(b => !IsSource(b)))
        {
            if (Parse(block).Usings.Count > 0 || programs.Count == 0) programs.Add([]);
            programs[^1].Add(block);
        }
        return programs;
    }

    private static IEnumerable<FencedBlock> Code(Markdown document) => document.Blocks.Where(b => b.Language == "csharp");

    private static bool IsSource(FencedBlock block) => Parse(block).Members.FirstOrDefault() is BaseNamespaceDeclarationSyntax;

    private static CompilationUnitSyntax Parse(FencedBlock block) =>
        CSharpSyntaxTree.ParseText(block.Text, Language).GetCompilationUnitRoot();

    // Directives first, then statements, then types, each block's under its own lines.
    private static string Join(IReadOnlyList<FencedBlock> blocks)
    {
        var text = new StringBuilder();
        foreach (FencedBlock block in blocks) Write(block, Parse(block).Usings);
        foreach (FencedBlock block in blocks)
        {
            if (block.Assumed.Length > 0) text.Append(Placed(block, block.Line - 2, block.Assumed));
            Write(block, Parse(block).Members.Where(m => m is GlobalStatementSyntax));
        }
        foreach (FencedBlock block in blocks) Write(block, Parse(block).Members.Where(m => m is not GlobalStatementSyntax));
        return text.ToString();

        void Write(FencedBlock block, IEnumerable<SyntaxNode> nodes)
        {
            foreach (SyntaxNode node in nodes)
                text.Append(Placed(block, block.Line + node.GetLocation().GetLineSpan().StartLinePosition.Line, node.ToString()));
        }
    }

    private static string Placed(FencedBlock block, int line, string text) => $"#line {line} \"{block.Document}\"\n{text}\n";

    private static CSharpCompilation Compilation(string text, string assembly)
    {
        SyntaxTree tree = CSharpSyntaxTree.ParseText(text, Language);
        // A block may be of directives or types alone.
        OutputKind kind = tree.GetCompilationUnitRoot().Members.OfType<GlobalStatementSyntax>().Any() ? OutputKind.ConsoleApplication
            : OutputKind.DynamicallyLinkedLibrary;
        CSharpCompilationOptions options = new(kind, nullableContextOptions: NullableContextOptions.Enable);
        SyntaxTree[] trees = [CSharpSyntaxTree.ParseText(Implicit, Language), tree];
        return CSharpCompilation.Create(assembly, trees, References.Value, options);
    }

    private static IEnumerable<string> Problems(CSharpCompilation compilation) =>
        compilation.GetDiagnostics().Where(d => d.Severity >= DiagnosticSeverity.Warning).Select(d =>
        {
            FileLinePositionSpan place = d.Location.GetMappedLineSpan();
            return $"{place.Path}:{place.StartLinePosition.Line + 1}: {d.Id} {d.GetMessage(CultureInfo.InvariantCulture)}";
        });
}
