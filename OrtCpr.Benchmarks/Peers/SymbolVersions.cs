using System.Buffers.Binary;
using System.Text;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>Edits the symbol versions that a shared library (ELF, 64 bit, little-endian) demands of others.</summary>
/// <remarks>Section <c>.gnu.version_r</c> is a chain of Verneed records (one a needed library), each with a chain of
/// Vernaux records (one a version). The dynamic linker refuses a library when a version is absent, unless its Vernaux
/// carries the flag VER_FLG_WEAK.</remarks>
internal static class SymbolVersions
{
    private const uint SectionVersionNeeds = 0x6ffffffe;
    private const ushort WeakFlag = 2;

    /// <summary>Makes every demand of one version weak.</summary>
    /// <param name="library">The whole file; changed in place.</param>
    /// <param name="version">E.g. <c>GLIBCXX_3.4.32</c>.</param>
    /// <returns>How many demands were changed; 0 when there is none or all are weak already.</returns>
    /// <exception cref="InvalidDataException">It is no such file, or cut off.</exception>
    public static int Weaken(Span<byte> library, string version)
    {
        if (library.Length < 64 || !library.StartsWith((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1]))
            throw new InvalidDataException("Expected a 64-bit little-endian ELF file.");
        try
        {
            return WeakenSections(library, Encoding.ASCII.GetBytes(version + '\0'));
        }
        catch (ArgumentOutOfRangeException error)
        {
            throw new InvalidDataException("The ELF file points behind its own end.", error);
        }
    }

    private static int WeakenSections(Span<byte> file, ReadOnlySpan<byte> version)
    {
        int changed = 0;
        int table = Offset(file, 40);
        int size = Half(file, 58);
        int count = Half(file, 60);
        for (int i = 0; i < count; i++)
        {
            Span<byte> section = file[(table + i * size)..];
            if (Word(section, 4) != SectionVersionNeeds)
                continue;
            int strings = Offset(file[(table + (int)Word(section, 40) * size)..], 24);
            int need = Offset(section, 24);
            for (uint library = Word(section, 44); library > 0; library--)
            {
                int auxiliary = need + (int)Word(file, need + 8);
                for (int versions = Half(file, need + 2); versions > 0; versions--)
                {
                    int flags = Half(file, auxiliary + 4);
                    if ((flags & WeakFlag) == 0 && file[(strings + (int)Word(file, auxiliary + 8))..].StartsWith(version))
                    {
                        BinaryPrimitives.WriteUInt16LittleEndian(file[(auxiliary + 4)..], (ushort)(flags | WeakFlag));
                        changed++;
                    }
                    auxiliary += (int)Word(file, auxiliary + 12);
                }
                need += (int)Word(file, need + 12);
            }
        }
        return changed;
    }

    private static int Half(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);

    private static uint Word(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    /// <summary>Files of 2 GiB and more are not for this: the offset then shows up as out of range.</summary>
    private static int Offset(ReadOnlySpan<byte> bytes, int at) =>
        (int)Math.Min(BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]), int.MaxValue);
}
