"""One line per decision: what a package says, and whether it may be trained on."""

import pytest

from model.training.corpus.licences import Statement, is_licence_file, judge

MIT = "Permission is hereby granted, free of charge, to any person obtaining\na copy of this software and associated"
BSD = "Redistribution and use in source and binary forms, with or without\n   modification, are permitted provided"
APACHE = "                                 Apache License\n                           Version 2.0, January 2004"
ISC = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby"
PSF = "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2"
ZLIB = "2. Altered source versions must be plainly marked as such"
UNLICENSE = "This is free and unencumbered software released into the public domain."
GPL = "GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007"
MPL = "Mozilla Public License Version 2.0"
BSD4 = BSD + " 3. All advertising materials mentioning features or use of this software must display"
PSF_HISTORY = (
    PSF + " material that was previously distributed under the GNU General Public License (GPL), the law of the"
)
NO_TRAINING = BSD + " The software may not be used for training machine learning models."

OSI = "License :: OSI Approved"
MIT_CLASSIFIER = f"{OSI} :: MIT License"
BSD_CLASSIFIER = f"{OSI} :: BSD License"
GPL_CLASSIFIER = f"{OSI} :: GNU General Public License v3 (GPLv3)"


@pytest.mark.parametrize(
    ("expression", "field", "classifiers", "file", "licence"),
    [
        ("MIT", "", [], MIT, "MIT"),
        ("BSD-3-Clause", "", [], BSD, "BSD-3-Clause"),
        ("Apache-2.0", "", [], APACHE, "Apache-2.0"),
        ("Apache-2.0 WITH LLVM-exception", "", [], APACHE, "Apache-2.0 WITH LLVM-exception"),
        ("MIT OR Apache-2.0", "", [], APACHE, "MIT OR Apache-2.0"),
        ("MIT AND PSF-2.0", "", [], MIT + PSF, "MIT AND PSF-2.0"),
        ("MIT OR GPL-2.0-only", "", [], MIT, "MIT OR GPL-2.0-only"),
        ("ISC", "", [], ISC, "ISC"),
        ("Unlicense", "", [], UNLICENSE, "Unlicense"),
        ("Zlib", "", [], ZLIB, "Zlib"),
        ("", "MIT", [], MIT, "MIT"),
        ("", "The MIT License (MIT)", [MIT_CLASSIFIER], MIT, "MIT"),
        ("", "BSD 3-Clause License", [BSD_CLASSIFIER], BSD, "BSD"),
        ("", "Apache License, Version 2.0", [], APACHE, "Apache"),
        ("", MIT + " x" * 200, [], MIT, "MIT"),
        ("", "UNKNOWN", [MIT_CLASSIFIER], MIT, "MIT"),
        ("", "", [BSD_CLASSIFIER, f"{OSI} :: Apache Software License"], BSD + APACHE, "Apache or BSD"),
        ("", "see the file", ["License :: OSI Approved", MIT_CLASSIFIER, "Topic :: Software Development"], MIT, "MIT"),
        ("PSF-2.0", "", [], PSF_HISTORY, "PSF-2.0"),
        ("MIT", "", [], "# *" + MIT.replace(" ", "\n * "), "MIT"),
    ],
)
def test_accepted(expression: str, field: str, classifiers: list[str], file: str, licence: str):
    verdict = judge(Statement(expression, field, classifiers, {"LICENSE": file}))
    assert verdict.permissive, verdict.reason
    assert verdict.licence == licence


@pytest.mark.parametrize(
    ("expression", "field", "classifiers", "file", "reason"),
    [
        ("", "", [], MIT, "no licence declared"),
        ("", "see the file", [], MIT, "no licence declared"),
        ("MIT", "", [], None, "no licence file"),
        ("MIT", "", [], "Do what feels right.", "licence file not recognised"),
        ("MIT", "", [], BSD, "licence declarations and licence file disagree"),
        ("MIT", "", [BSD_CLASSIFIER], MIT + BSD, "licence declarations and licence file disagree"),
        ("MIT", "", [GPL_CLASSIFIER], MIT, "licence classifier is not permissive"),
        ("MIT", "", ["License :: Other/Proprietary License"], MIT, "licence classifier is not permissive"),
        ("GPL-3.0-only", "", [], GPL, "licence expression is not permissive"),
        ("MIT AND MPL-2.0", "", [], MIT, "licence expression is not permissive"),
        ("MIT AND (GPL-2.0-only OR LGPL-2.1-only)", "", [], MIT, "licence expression is not permissive"),
        ("LicenseRef-Mine", "", [], MIT, "licence expression is not valid SPDX"),
        ("MIT AND AND", "", [], MIT, "licence expression is not valid SPDX"),
        ("", "GPLv2+", [], MIT, "licence field is not permissive"),
        ("", "LGPL-2.1-only", [], MIT, "licence field is not permissive"),
        ("", "MIT and MPL 2.0", [], MIT, "licence field is not permissive"),
        ("", GPL + " x" * 200, [], MIT, "licence field is not permissive"),
        ("BSD-3-Clause", "", [], BSD + GPL, "licence file names a copyleft or restricted licence"),
        ("MIT", "", [], MIT + MPL, "licence file names a copyleft or restricted licence"),
        ("BSD-3-Clause", "", [], BSD4, "licence file names a copyleft or restricted licence"),
        ("BSD-3-Clause", "", [], NO_TRAINING, "licence file names a copyleft or restricted licence"),
    ],
)
def test_rejected(expression: str, field: str, classifiers: list[str], file: str | None, reason: str):
    verdict = judge(Statement(expression, field, classifiers, {} if file is None else {"LICENSE": file}))
    assert not verdict.permissive
    assert verdict.reason == reason


def test_a_second_licence_file_counts():
    statement = Statement(expression="MIT", licence_files={"LICENSE": MIT, "licenses/LICENSE.other": GPL})
    assert judge(statement).reason == "licence file names a copyleft or restricted licence"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("LICENSE", True), ("LICENCE.txt", True), ("COPYING.LESSER", True), ("UNLICENSE", True), ("MIT-LICENSE.txt", True),
     ("LICENSE_GEOS", True), ("AUTHORS", False), ("licensing_guide.md", False), ("README", False)],
)  # fmt: skip
def test_names_of_licence_files(name: str, expected: bool):
    assert is_licence_file(name) is expected
